// SPDX-License-Identifier: MIT
// The end of a loop's default executor.
#include <siding/event_loop.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>

#include "support/gate.hpp"
#include "support/turns.hpp"

namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding_test::Gate;
using siding_test::pass;
using siding_test::turns;

TEST_SUITE("EventLoop::shutdown_default_executor") {
  TEST_CASE("afterwards no other default executor can be set") {
    auto main = []() -> Task<> {
      EventLoop& loop = EventLoop::current();
      CHECK(co_await loop.shutdown_default_executor());
      CHECK_THROWS_WITH_AS(static_cast<void>(loop.set_default_executor(
                               std::make_shared<siding::ThreadPool>())),
                           "set_default_executor: the default executor of this loop was shut down, "
                           "and there will be no other; name another executor in the call",
                           siding::ShutdownError);
    };

    siding::run(main);
  }

  TEST_CASE("a second shutdown waits as long as the first, and says so if its limit passes") {
    Gate gate;
    auto main = [&gate]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const Future<> call = siding::create_task(siding::to_thread(pass, gate.key()));
      co_await turns(2);
      gate.wait_for_arrivals(1);
      const Future<bool> first = siding::create_task(loop.shutdown_default_executor());
      co_await turns(2);
      const bool in_time = co_await loop.shutdown_default_executor(1ms);
      CHECK_FALSE(in_time);
      const Future<bool> second = siding::create_task(loop.shutdown_default_executor());
      co_await turns(2);
      CHECK_FALSE(first.done());
      CHECK_FALSE(second.done());
      gate.open();
      CHECK(co_await first);
      CHECK(co_await second);
      CHECK(co_await loop.shutdown_default_executor());
      co_await call;
    };

    siding::run(main);
  }
}

}  // namespace
