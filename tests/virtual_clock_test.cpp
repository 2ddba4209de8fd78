// SPDX-License-Identifier: MIT
#include <siding/testing/virtual_clock.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/sleep_watch.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::virtual_clock_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::EventLoop;
using siding::Future;
using siding::Limit;
using siding::Task;
using siding::ThreadPool;
using siding::testing::VirtualClock;
using siding_test::Gate;
using siding_test::SleepWatch;
using siding_test::VirtualLoop;

TEST_SUITE("VirtualClock") {
  TEST_CASE("it is moved by hand, and never back") {
    VirtualClock clock;
    const siding::TimePoint start = clock.now();
    CHECK(start != siding::TimePoint());

    clock.advance(5s);
    CHECK(clock.now() == start + 5s);
    clock.advance_to(start + 8s);
    CHECK(clock.now() == start + 8s);
    clock.advance_to(start);
    CHECK(clock.now() == start + 8s);
    clock.advance(std::chrono::nanoseconds::max());
    CHECK(clock.now() == siding::TimePoint::max());
  }

  TEST_CASE("sleeps of hours take no time, and each ends at its exact time") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      for (int day = 1; day <= 365; ++day) {
        co_await siding::sleep(24h);
        CHECK(virtual_loop.elapsed() == 24h * day);
        CHECK(virtual_loop.loop.time() == virtual_loop.clock.now());
      }
    };
    const auto start = Clock::now();

    virtual_loop.loop.run_until_complete(body);

    CHECK(Clock::now() - start < 10s * siding_test::slowness);
    CHECK(virtual_loop.loop.counters().sleeps == 0);
  }

  TEST_CASE("time stands still as long as anything can run") {
    VirtualLoop virtual_loop;
    bool rang = false;
    virtual_loop.loop.call_later(1ns, [&] { rang = true; });
    auto body = [&]() -> Task<> {
      for (int turn = 0; turn < 1000; ++turn)
        co_await siding::yield();
      CHECK_FALSE(rang);
      CHECK(virtual_loop.elapsed() == 0ns);
      co_await siding::sleep(1ns);
      CHECK(rang);
      CHECK(virtual_loop.elapsed() == 1ns);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("what is posted by another thread runs before time jumps") {
    VirtualLoop virtual_loop;
    std::optional<std::chrono::nanoseconds> posted_at;
    virtual_loop.loop.call_later(1h, [&] { virtual_loop.loop.stop(); });
    std::thread([&] {
      virtual_loop.loop.call_soon_threadsafe([&] { posted_at = virtual_loop.elapsed(); });
    }).join();

    virtual_loop.loop.run_forever();

    CHECK(posted_at == 0ns);
    CHECK(virtual_loop.elapsed() == 1h);
  }

  TEST_CASE("timers that become due when a step moves the time fire in the next iteration") {
    VirtualLoop virtual_loop;
    std::string log;
    virtual_loop.loop.call_later(2s, [&] { log += 'b'; });
    virtual_loop.loop.call_later(1s, [&] { log += 'a'; });
    virtual_loop.loop.call_later(4s, [&] { virtual_loop.loop.stop(); });
    virtual_loop.loop.call_soon([&] {
      virtual_loop.clock.advance(3s);
      CHECK(log.empty());
      virtual_loop.loop.call_soon([&] {
        CHECK(log.empty());  // ready before them, in the same iteration
        virtual_loop.loop.call_soon([&] { CHECK(log == "ab"); });
      });
    });

    virtual_loop.loop.run_forever();

    CHECK(log == "ab");
    CHECK(virtual_loop.elapsed() == 4s);
  }

  TEST_CASE("while a task awaits a call on an executor, time waits for it instead of jumping") {
    ThreadPool pool{{.max_workers = 1}};
    using Start = std::function<Task<int>(Gate&)>;
    const std::vector<Start> ways = {
        [&](Gate& gate) -> Task<int> {
          co_return co_await siding::offload(pool, siding_test::pass_with, gate.key(), 7);
        },
        [&](Gate& gate) -> Task<int> {
          co_return co_await siding::run_in_executor(pool, siding_test::pass_with, gate.key(), 7);
        },
        [&](Gate& gate) -> Task<int> {
          co_return co_await pool.submit(siding_test::pass_with, gate.key(), 7);
        },
        [&](Gate& gate) -> Task<int> {
          auto call = siding::offload(pool, siding_test::pass_with, gate.key(), 7);
          co_return co_await siding::wait_for(std::move(call), 1h);
        },
    };
    for (std::size_t way = 0; way < ways.size(); ++way) {
      CAPTURE(way);
      VirtualLoop virtual_loop;
      Gate gate;
      bool rang = false;
      virtual_loop.loop.call_later(1h, [&] { rang = true; });
      auto body = [&]() -> Task<int> {
        std::thread other([&gate, watch = SleepWatch()] {
          watch.wait_until_asleep();  // in the kernel, although a timer is armed
          gate.open();
        });
        const int value = co_await ways[way](gate);
        other.join();
        CHECK_FALSE(rang);
        CHECK(virtual_loop.elapsed() == 0s);
        co_await siding::sleep(2h);
        co_return value;
      };

      CHECK(virtual_loop.loop.run_until_complete(body) == 7);

      CHECK(rang);
      CHECK(virtual_loop.elapsed() == 2h);
    }
  }

  TEST_CASE("a call whose await was abandoned does not hold time up") {
    ThreadPool pool{{.max_workers = 1}};
    VirtualLoop virtual_loop;
    Gate gate;
    auto body = [&]() -> Task<> {
      auto call = siding::run_in_executor(pool, siding_test::pass_with, gate.key(), 7);
      auto waits = [&]() -> Task<> { co_await call; };
      const Future<> waiter = siding::create_task(waits);
      co_await siding::yield();
      gate.wait_for_arrivals(1);

      waiter.cancel();
      CHECK_THROWS_AS(co_await waiter, siding::Cancelled);
      co_await siding::sleep(1h);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(virtual_loop.elapsed() == 1h);
  }

  TEST_CASE("a loop in virtual time without timers sleeps until another thread wakes it") {
    VirtualLoop virtual_loop;
    siding::Promise<int> promise;
    auto body = [&]() -> Task<int> {
      std::thread other([&promise, watch = SleepWatch()] {
        watch.wait_until_asleep();
        promise.set_value(3);
      });
      const int value = co_await promise.future();
      other.join();
      co_return value;
    };

    CHECK(virtual_loop.loop.run_until_complete(body) == 3);

    CHECK(virtual_loop.elapsed() == 0s);
    CHECK(virtual_loop.loop.counters().sleeps == 1);
  }

  TEST_CASE("time does not jump to the end of a wait without end") {
    for (const Limit never : {Limit(), Limit(std::chrono::hours::max())}) {
      VirtualLoop virtual_loop;
      bool called = false;
      virtual_loop.loop.call_later(never, [&] { called = true; });
      std::thread other;
      virtual_loop.loop.call_soon([&] {
        other = std::thread([&virtual_loop, watch = SleepWatch()] {
          watch.wait_until_asleep();
          virtual_loop.loop.stop();
        });
      });
      const auto give_up = Clock::now() + 10s * siding_test::slowness;

      virtual_loop.loop.run_forever();
      other.join();

      CHECK(Clock::now() < give_up);
      CHECK_FALSE(called);
      CHECK(virtual_loop.elapsed() == 0s);
    }
  }
}

}  // namespace
}  // namespace siding_test::virtual_clock_test
