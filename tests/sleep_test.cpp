// SPDX-License-Identifier: MIT
#include <siding/sleep.hpp>

#include <siding/create_task.hpp>
#include <siding/event_loop.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/limits.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::sleep_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Clock;
using siding::EventLoop;
using siding::Future;
using siding::Limit;
using siding::Task;
using siding_test::VirtualLoop;

TEST_SUITE("sleep") {
  // LP-015
  TEST_CASE("sleep(0) and yield give every ready task one turn: two tasks alternate strictly") {
    for (const Limit turn : {Limit(0s), Limit(-1s), Limit()}) {  // the last one: yield
      VirtualLoop virtual_loop;
      std::string log;
      auto writes = [&](char name) -> Task<> {
        for (int i = 0; i < 5; ++i) {
          log += name;
          if (turn.has_value()) {
            co_await siding::sleep(turn);
          } else {
            co_await siding::yield();
          }
        }
      };
      auto body = [&]() -> Task<> {
        const Future<> a = siding::create_task(writes('a'));
        const Future<> b = siding::create_task(writes('b'));
        co_await a;
        co_await b;
      };

      virtual_loop.loop.run_until_complete(body);

      CHECK(log == "ababababab");
      CHECK(virtual_loop.elapsed() == 0s);
      CHECK(virtual_loop.loop.counters().sleeps == 0);
    }
  }

  // LP-015
  TEST_CASE("a sleep lasts at least its length") {
    EventLoop loop;
    auto best = Clock::duration::max();
    auto body = [&]() -> Task<> {
      for (const auto length : {1us, 100us, 1000us, 10000us}) {
        best = Clock::duration::max();
        for (int round = 0; round < 10; ++round) {
          const auto start = loop.time();
          co_await siding::sleep(length);
          const auto lasted = loop.time() - start;
          CHECK(lasted >= length);
          CHECK(lasted < 5s * siding_test::slowness);
          best = std::min(best, lasted - length);
        }
        CHECK(best < 5ms * siding_test::slowness);
      }
    };

    loop.run_until_complete(body);
  }

  TEST_CASE("a length between two nanoseconds is rounded up, in any unit") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      co_await siding::sleep(std::chrono::duration<double, std::nano>(1.2));
      CHECK(virtual_loop.elapsed() == 2ns);
      co_await siding::sleep(std::chrono::duration<double>(0.5));
      CHECK(virtual_loop.elapsed() == 500ms + 2ns);
      co_await siding::sleep(std::chrono::days(1));
      CHECK(virtual_loop.elapsed() == 24h + 500ms + 2ns);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("the length counts from the await, not from the call") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      const siding::SleepOp later = siding::sleep(1s);
      co_await siding::sleep(10s);
      co_await later;
      CHECK(virtual_loop.elapsed() == 11s);
      co_await later;
      CHECK(virtual_loop.elapsed() == 12s);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("sleepers wake in order of their times; of equal ones the first goes first") {
    VirtualLoop virtual_loop;
    std::string log;
    auto sleeps = [&](std::chrono::seconds length, char name) -> Task<> {
      co_await siding::sleep(length);
      log += name;
      CHECK(virtual_loop.elapsed() == length);
    };
    auto body = [&]() -> Task<> {
      std::vector<Future<>> tasks;
      int number = 0;
      for (const auto length : {3s, 1s, 2s, 1s, 3s, 2s, 1s}) {
        tasks.push_back(siding::create_task(sleeps(length, static_cast<char>('a' + number++))));
      }
      for (const Future<>& task : tasks)
        co_await task;
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(log == "bdgcfae");
  }

  // LP-016, at its full size in stress/event_loop_stress_test.cpp
  TEST_CASE("cancelling a sleep takes its timer away") {
    constexpr int count = 1000;
    EventLoop loop;
    auto sleeps = []() -> Task<> { co_await siding::sleep(1h); };
    auto body = [&]() -> Task<> {
      std::vector<Future<>> tasks;
      tasks.reserve(count);
      for (int i = 0; i < count; ++i)
        tasks.push_back(siding::create_task(sleeps));
      co_await siding::yield();
      CHECK(loop.counters().timers == count);

      for (const Future<>& task : tasks)
        task.cancel();
      CHECK(loop.counters().timers == 0);
      co_await siding::yield();

      CHECK(std::all_of(tasks.begin(), tasks.end(),
                        [](const Future<>& task) { return task.cancelled(); }));
    };

    loop.run_until_complete(body);

    CHECK(loop.counters().timers == 0);
  }

  TEST_CASE("a sleep without limit, or with the longest there is, lasts until it is cancelled") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      for (const Limit length : {Limit(), Limit(std::nullopt), Limit(std::chrono::hours::max()),
                                 Limit(std::chrono::nanoseconds::max())}) {
        const Future<> task =
            siding::create_task([length]() -> Task<> { co_await siding::sleep(length); });
        co_await siding::sleep(100h);
        CHECK_FALSE(task.done());
        task.cancel();
        CHECK_THROWS_AS(co_await task, Cancelled);
      }
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(virtual_loop.elapsed() == 400h);
    CHECK(virtual_loop.loop.counters().timers == 0);
  }

  TEST_CASE("a turn that is given up can be cancelled too") {
    VirtualLoop virtual_loop;
    bool went_on = false;
    auto gives_way = [&]() -> Task<> {
      co_await siding::yield();
      went_on = true;
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(gives_way);
      virtual_loop.loop.call_soon([&] {
        CHECK(task.running());
        CHECK(task.cancel());
      });
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(went_on);
  }
}

}  // namespace
}  // namespace siding_test::sleep_test
