// SPDX-License-Identifier: MIT
// What the end of a run does with tasks that resist, and with calls that do not return.
#include <siding/runner.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "support/child.hpp"
#include "support/gate.hpp"
#include "support/log_capture.hpp"
#include "support/turns.hpp"

namespace siding_test::runner_end_test {
namespace {

using namespace std::chrono_literals;
using siding::Limit;
using siding::Task;
using siding_test::Gate;

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
      while (swallowed == 0)
        co_await siding::yield();
    };

    siding::run(main);

    CHECK(swallowed == 1);
    CHECK(ended);
  }

  // In children, since a thread and a loop are left behind for good; they leave the usual way, with
  // static destructors.
  // RU-005
  TEST_CASE("executor_join_limit bounds the end also where a task that is left awaits a call") {
    auto runs_over_limit = [] {
      const siding_test::LogCapture log;
      static Gate& never = *new Gate;  // never opened
      auto main = []() -> Task<int> {
        static siding::ThreadPool& other = *new siding::ThreadPool;
        siding::create_task(siding::to_thread(siding_test::pass, never.key()));
        siding::create_task(
            siding::offload(other, {.name = "backup"}, siding_test::pass, never.key()));
        co_await siding_test::turns(2);
        never.wait_for_arrivals(2);
        co_return 5;
      };

      const int result = siding::run(main, {.executor_join_limit = 50ms});

      if (result != 5) return 1;
      if (log.lines().size() != 1) return 2;
      const std::string line = log.lines()[0];
      if (line.find("executor_join_limit has passed") == std::string::npos) return 3;
      // One by its name, the other by its function.
      return line.find("returned: backup, void (*)(siding_test::GateKey); ") != std::string::npos ? 0 : 4;
    };

    CHECK(siding_test::status_in_child([&]() -> int { std::exit(runs_over_limit()); }) == 0);
  }

  TEST_CASE("a limit does not cut short the tidying up of tasks that await no call") {
    bool tidied = false;
    auto slow = [&tidied]() -> Task<> {
      try {
        co_await siding::sleep(Limit());
      } catch (const siding::Cancelled&) {
      }
      co_await siding::sleep(30ms);
      tidied = true;
    };
    auto main = [&]() -> Task<> {
      siding::create_task(slow);
      co_await siding::yield();
    };

    siding::run(main, {.executor_join_limit = 1ms});

    CHECK(tidied);
  }

  TEST_CASE("the second SIGINT ends the run although main awaits a call that does not return") {
    auto interrupted_twice = [] {
      const siding_test::LogCapture log;
      static Gate& never = *new Gate;  // never opened
      auto interrupts = []() -> Task<> {
        never.wait_for_arrivals(1);
        for (int i = 0; i < 2; ++i) {
          ::raise(SIGINT);
          co_await siding::sleep(1ms);
        }
      };
      auto main = [interrupts]() -> Task<> {
        siding::create_task(interrupts);
        co_await siding::to_thread(siding_test::pass, never.key());
      };

      try {
        siding::run(main);
      } catch (const siding::Interrupted&) {
        return log.lines().size() == 1 ? 0 : 2;
      }
      return 1;
    };

    CHECK(siding_test::status_in_child([&]() -> int { std::exit(interrupted_twice()); }) == 0);
  }

  TEST_CASE("the second SIGINT ends the run although a call of the default pool does not return") {
    auto interrupted_twice = [] {
      static Gate& never = *new Gate;  // never opened
      auto main = []() -> Task<> {
        const auto call = siding::run_in_executor(nullptr, siding_test::pass, never.key());
        never.wait_for_arrivals(1);
        ::raise(SIGINT);
        try {
          co_await siding::sleep(Limit());
        } catch (const siding::Cancelled&) {
        }
        ::raise(SIGINT);
        co_await siding::sleep(Limit());
      };

      try {
        siding::run(main);
      } catch (const siding::Interrupted&) {
        return 0;
      }
      return 1;
    };

    CHECK(siding_test::status_in_child([&]() -> int { std::exit(interrupted_twice()); }) == 0);
  }
}

}  // namespace
}  // namespace siding_test::runner_end_test
