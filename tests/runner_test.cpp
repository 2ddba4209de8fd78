// SPDX-License-Identifier: MIT
#include <siding/runner.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/child.hpp"
#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"

namespace siding_test::runner_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::EventLoop;
using siding::Future;
using siding::Limit;
using siding::Runner;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::LeakGuard;

Task<int> value_of(int value) {
  co_await siding::sleep(0s);
  co_return value;
}

Task<int> throws_spam() {
  co_await siding::sleep(0s);
  throw std::invalid_argument("spam");
}

// Takes note of its cancellation, tidies up over a few turns, and goes on with it.
Task<> tidies_up(int& tidied) {
  bool cancelled = false;
  try {
    co_await siding::sleep(10s);
  } catch (const siding::Cancelled&) {
    cancelled = true;
  }
  if (!cancelled) co_return;
  co_await siding::yield();
  co_await siding::sleep(1ms);
  ++tidied;
  throw siding::Cancelled();
}

TEST_SUITE("run()") {
  // RU-001
  TEST_CASE("run returns what main returns, and throws what it throws") {
    siding::run(value_of(0));  // the first one makes the descriptor for SIGINT, which stays
    const LeakGuard guard;

    CHECK(siding::run(value_of(42)) == 42);
    CHECK_THROWS_WITH_AS(siding::run(throws_spam()), "spam", std::invalid_argument);
  }

  TEST_CASE(
      "main may be a callable, which is kept until it has ended, and return what only moves") {
    Counts counts;
    auto main = [kept = Counted(counts, 3)]() -> Task<std::unique_ptr<int>> {
      co_await siding::yield();
      co_return std::make_unique<int>(kept.value());
    };

    CHECK(*siding::run(std::move(main)) == 3);
    CHECK(counts.alive() == 1);  // the named one that was moved from
  }

  TEST_CASE("a main that ends cancelled makes run throw Cancelled") {
    auto main = []() -> Task<> {
      siding::current_task().cancel({.reason = "enough"});
      co_await siding::yield();
    };
    std::string reason;

    try {
      siding::run(main);
    } catch (const siding::Cancelled& cancelled) {
      reason = cancelled.reason();
    }

    CHECK(reason == "enough");
  }

  // RU-002
  TEST_CASE("run inside a running loop is refused: its main is never entered") {
    const LeakGuard guard;
    Counts counts;
    bool entered = false;
    auto inner = [](bool& flag, Counted) -> Task<> {
      flag = true;
      co_return;
    };
    auto outer = [&]() -> Task<int> {
      CHECK_THROWS_AS(siding::run(inner(entered, Counted(counts))), std::logic_error);
      CHECK(counts.made > 0);
      CHECK(counts.alive() == 0);
      co_await siding::yield();
      co_return 1;
    };

    CHECK(siding::run(outer) == 1);
    CHECK_FALSE(entered);
  }

  // RU-003
  TEST_CASE("tasks that are left when main ends are cancelled and waited for") {
    const LeakGuard guard;
    int tidied = 0;
    auto main = [&]() -> Task<int> {
      siding::create_task(tidies_up(tidied));
      siding::create_task(tidies_up(tidied));
      co_await siding::yield();
      co_return 123;
    };
    const auto start = Clock::now();

    CHECK(siding::run(main) == 123);

    CHECK(tidied == 2);
    CHECK(Clock::now() - start < 2s * siding_test::slowness);
  }

  TEST_CASE("tasks that are left when main throws are cancelled and waited for") {
    int tidied = 0;
    auto main = [&]() -> Task<int> {
      siding::create_task(tidies_up(tidied));
      co_return co_await throws_spam();
    };

    CHECK_THROWS_WITH_AS(siding::run(main), "spam", std::invalid_argument);
    CHECK(tidied == 1);
  }

  TEST_CASE("tasks that are started while the rest is tidied up do not hold up the end") {
    Counts counts;
    bool entered = false;
    auto sleeps = [](bool& flag, Counted) -> Task<> {
      flag = true;
      co_await siding::sleep(siding_test::hang_limit);
    };
    auto starts_another = [&]() -> Task<> {
      bool cancelled = false;
      try {
        co_await siding::sleep(10s);
      } catch (const siding::Cancelled&) {
        cancelled = true;
      }
      CHECK(cancelled);
      siding::create_task(sleeps(entered, Counted(counts)));
      co_await siding::yield();
    };
    auto main = [&]() -> Task<> {
      siding::create_task(starts_another);
      co_await siding::yield();
    };

    siding::run(main);

    CHECK_FALSE(entered);
    CHECK(counts.made > 0);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("a task that is left and fails while it is tidied up is reported") {
    const siding_test::LogCapture log;
    auto main = []() -> Task<> {
      siding::create_task([]() -> Task<> {
        try {
          co_await siding::sleep(10s);
        } catch (const siding::Cancelled&) {
          throw std::runtime_error("could not tidy up");
        }
      });
      co_await siding::yield();
    };

    siding::run(main);

    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find("std::runtime_error: could not tidy up") != std::string::npos);
  }

  // RU-004
  TEST_CASE("run returns when the calls of the default executor have ended, with their threads") {
    const LeakGuard guard;
    std::atomic<bool> main_over = false;
    std::atomic<bool> ended = false;
    auto slow = [&] {
      while (!main_over)
        std::this_thread::yield();
      std::this_thread::sleep_for(30ms);  // the work
      ended = true;
    };
    auto main = [&]() -> Task<int> {
      const Future<> abandoned = siding::run_in_executor(nullptr, slow);
      co_await siding::yield();
      main_over = true;
      co_return 5;
    };

    CHECK(siding::run(main) == 5);

    CHECK(ended);
  }

  TEST_CASE("a default executor that was set is shut down at the end, and stays its owner's") {
    auto pool = std::make_shared<siding::ThreadPool>(siding::ThreadPoolOptions{.max_workers = 1});
    auto main = [&]() -> Task<int> {
      EventLoop& loop = EventLoop::current();
      CHECK(loop.set_default_executor(pool) == nullptr);
      CHECK(loop.default_executor() == pool);
      co_return co_await siding::to_thread([] { return 6; });
    };

    CHECK(siding::run(main) == 6);

    CHECK(pool.use_count() == 1);
    CHECK(pool->worker_count() == 0);
    CHECK_THROWS_AS(pool->submit([] {}), siding::ShutdownError);
  }

  // RU-005
  TEST_CASE("the wait for the default executor can be bounded: a line names the call that is stuck, and the "
            "process can end") {
    // In a child, since a thread is left behind for good.
    const auto limit = 100ms;
    auto runs_over_limit = [&] {
      const siding_test::LogCapture log;
      static Gate& never = *new Gate;  // never opened
      auto main = [&]() -> Task<int> {
        auto call = siding::run_in_executor(nullptr, {.name = "backup"}, siding_test::pass,
                                            never.key());
        never.wait_for_arrivals(1);
        co_return 5;
      };
      const auto start = Clock::now();

      const int result = siding::run(main, {.executor_join_limit = limit});

      const auto elapsed = Clock::now() - start;
      if (result != 5) return 1;
      if (elapsed < limit || elapsed > 5s * siding_test::slowness) return 2;
      if (log.lines().size() != 1) return 3;
      if (log.lines()[0].find("within executor_join_limit: backup; ") == std::string::npos) return 4;
      return 0;
    };

    const int status = siding_test::status_in_child([&]() -> int {
      std::exit(runs_over_limit());  // the usual way, with static destructors
    });

    CHECK(status == 0);
  }

  // RU-006
  TEST_CASE("each run has a loop of its own, and leaves none behind") {
    const LeakGuard guard;
    const EventLoop* seen = nullptr;
    auto note = [&]() -> Task<> {
      seen = &EventLoop::current();
      co_return;
    };
    Runner first;
    Runner second;

    first.run(note);
    CHECK(seen == &first.loop());
    second.run(note);
    CHECK(seen == &second.loop());
    Counts counts;
    siding::run([&]() -> Task<> {
      co_await note();
      EventLoop::current().call_later(1h, [kept = Counted(counts)] {});
      CHECK(counts.alive() == 1);
    });
    CHECK(seen != &first.loop());
    CHECK(seen != &second.loop());
    CHECK(counts.alive() == 0);
    siding::run([]() -> Task<> {
      CHECK(EventLoop::current().counters().timers == 0);
      co_return;
    });

    CHECK_THROWS_AS(EventLoop::current(), siding::NoRunningLoop);
    CHECK_THROWS_AS(siding::create_task(value_of(1)), siding::NoRunningLoop);
  }
}

TEST_SUITE("Runner") {
  // RU-007
  TEST_CASE("a runner runs several mains on one loop, and closes it at its end") {
    const LeakGuard guard;
    const EventLoop* seen = nullptr;
    auto note = [&](int value) -> Task<int> {
      CHECK((seen == nullptr || seen == &EventLoop::current()));
      seen = &EventLoop::current();
      co_return value;
    };
    auto runner = std::make_unique<Runner>();
    Future<int> left;

    CHECK(runner->run(note(1)) == 1);
    CHECK_THROWS_AS(runner->run(throws_spam()), std::invalid_argument);
    CHECK(runner->run([&]() -> Task<int> {
      left = siding::create_task(value_of(3));
      co_return 2;
    }) == 2);
    CHECK(seen == &runner->loop());
    CHECK_FALSE(left.done());  // tasks are left alone between two runs
    CHECK(runner->run([&]() -> Task<int> { co_return co_await left; }) == 3);

    runner->close();
    CHECK(runner->loop().is_closed());
    CHECK_THROWS_AS(runner->run(value_of(4)), siding::LoopClosed);
    runner->close();
    runner.reset();
  }

  TEST_CASE("a runner that never ran ends cleanly") {
    const LeakGuard guard;
    const Runner runner;
  }

  TEST_CASE("a stop() that comes late does not disturb the end of a runner") {
    int tidied = 0;
    Runner runner;
    runner.run([&]() -> Task<> {
      siding::create_task(tidies_up(tidied));
      co_await siding::yield();
    });

    runner.loop().stop();
    runner.close();

    CHECK(tidied == 1);
  }

  TEST_CASE("a main whose loop is stopped under it makes run throw, and ends with the runner") {
    int tidied = 0;
    Runner runner;
    auto main = [&]() -> Task<> {
      runner.loop().stop();
      co_await tidies_up(tidied);
    };

    CHECK_THROWS_AS(runner.run(main), siding::InvalidStateError);
    CHECK(tidied == 0);
    runner.close();

    CHECK(tidied == 1);
  }
}

}  // namespace
}  // namespace siding_test::runner_test
