// SPDX-License-Identifier: MIT
// Runs and ends of runs inside a running loop, which are refused and leave that loop whole.
#include <siding/runner.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "support/leak_guard.hpp"
#include "support/log_capture.hpp"

namespace siding_test::runner_nested_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Runner;
using siding::Task;
using siding_test::LeakGuard;

Task<int> value_of(int value) {
  co_await siding::yield();
  co_return value;
}

constexpr const char* run_refused =
    "run: a loop is running on this thread already; use co_await or create_task() inside it";
constexpr const char* close_refused =
    "close: a loop is running on this thread; close a runner after its run() has returned";

TEST_SUITE("run() inside a running loop") {
  TEST_CASE("a refused run leaves the outer loop the running one") {
    auto main = []() -> Task<int> {
      EventLoop* const outer = EventLoop::current_or_null();
      CHECK_THROWS_WITH_AS(siding::run(value_of(1)), run_refused, std::logic_error);
      CHECK(EventLoop::current_or_null() == outer);
      const auto task = siding::create_task(value_of(2));
      co_await siding::sleep(1ms);
      CHECK(EventLoop::current_or_null() == outer);
      co_return co_await task;
    };

    CHECK(siding::run(main) == 2);
  }

  TEST_CASE("a runner is refused, and no ring is made for it") {
    auto main = []() -> Task<> {
      const LeakGuard guard;
      CHECK_THROWS_WITH_AS(Runner(), run_refused, std::logic_error);
      CHECK(EventLoop::current_or_null() != nullptr);
      co_await siding::yield();
    };

    siding::run(main);
  }

  TEST_CASE("a runner refuses to be closed inside its own run, which goes on") {
    Runner runner;
    auto main = [&runner]() -> Task<int> {
      CHECK_THROWS_WITH_AS(runner.close(), close_refused, std::logic_error);
      co_await siding::yield();
      co_return 3;
    };

    CHECK(runner.run(main) == 3);
    runner.close();
    CHECK(runner.loop().is_closed());
  }

  TEST_CASE("a runner refuses to be closed inside the run of another one") {
    Runner idle;
    auto main = [&idle]() -> Task<> {
      EventLoop* const outer = EventLoop::current_or_null();
      CHECK_THROWS_WITH_AS(idle.close(), close_refused, std::logic_error);
      CHECK(EventLoop::current_or_null() == outer);
      co_await siding::yield();
    };

    siding::run(main);
    CHECK(idle.run(value_of(4)) == 4);
  }

  TEST_CASE(
      "a runner that is destroyed inside the run of another one closes its loop, and says so") {
    auto idle = std::make_optional<Runner>();
    idle->run(value_of(0));
    siding::Future<int> left = idle->loop().create_task(value_of(1));
    const siding_test::LogCapture log;
    auto main = [&idle]() -> Task<> {
      EventLoop* const outer = EventLoop::current_or_null();
      idle.reset();
      CHECK(EventLoop::current_or_null() == outer);
      co_await siding::yield();
    };

    siding::run(main);

    CHECK_THROWS_AS(left.result(), siding::LoopClosed);
    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find(close_refused) != std::string::npos);
  }
}

}  // namespace
}  // namespace siding_test::runner_nested_test
