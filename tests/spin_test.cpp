// SPDX-License-Identifier: MIT
// How long a loop and a worker look before they sleep.

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace siding_test::spin_test {
namespace {

using siding::EventLoop;
using siding::Task;
using siding::ThreadPool;

TEST_SUITE("spin") {
  TEST_CASE("the longest time there is does not wrap around to a time that has passed") {
    constexpr auto longest = std::chrono::nanoseconds::max();
    ThreadPool pool{{.max_workers = 1, .spin = longest}};
    EventLoop loop{{.spin = longest}};
    auto calls = [&pool]() -> Task<int> {
      int sum = 0;
      for (int i = 0; i < 3; ++i)
        sum += co_await siding::offload(
            pool, [](int n) { return n; }, i);
      co_return sum;
    };

    CHECK(loop.run_until_complete(calls) == 3);
  }
}

}  // namespace
}  // namespace siding_test::spin_test
