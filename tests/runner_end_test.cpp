// SPDX-License-Identifier: MIT
// What the end of a run does with tasks that resist, and with calls that do not return.
#include <siding/runner.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

namespace {

using siding::Limit;
using siding::Task;

TEST_SUITE("the end of run()") {
  // Each task is asked once more at the end, as in asyncio, whatever it was asked before.
  TEST_CASE("a task that has swallowed one cancellation is cancelled again when run ends") {
    int swallowed = 0;
    bool ended = false;
    auto stubborn = [&]() -> Task<> {
      try {
        co_await siding::sleep(Limit());
      } catch (const siding::Cancelled&) {
        ++swallowed;
      }
      try {
        co_await siding::sleep(Limit());
      } catch (const siding::Cancelled&) {
        ended = true;
        throw;
      }
    };
    auto main = [&]() -> Task<> {
      const auto task = siding::create_task(stubborn);
      co_await siding::yield();
      task.cancel();
      while (swallowed == 0) co_await siding::yield();
    };

    siding::run(main);

    CHECK(swallowed == 1);
    CHECK(ended);
  }
}

}  // namespace
