// SPDX-License-Identifier: MIT
// What an offloaded call does to the loop that awaits it: wake-ups, time, and the loop's end.

#include <siding/create_task.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/held_executor.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/sleep_watch.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::offload_loop_test {
namespace {

using namespace std::chrono_literals;
using siding::create_task;
using siding::EventLoop;
using siding::Future;
using siding::offload;
using siding::run;
using siding::Task;
using siding::ThreadPool;
using siding::to_thread;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::LeakGuard;
using siding_test::slowness;
using siding_test::turns;

using Clock = std::chrono::steady_clock;

int add(int a, int b) { return a + b; }

}  // namespace

TEST_SUITE("offload: the way back") {
  // RX-003
  TEST_CASE("the loop runs other tasks while the call blocks") {
    Gate gate;
    run([&]() -> Task<> {
      const Future<> blocked =
          create_task([&]() -> Task<> { co_await to_thread(siding_test::pass, gate.key()); });
      co_await turns(1);
      gate.wait_for_arrivals(1);
      // The call ends after 80 ticks: on a loop that it blocks, never.
      auto longest = 0ns;
      for (int tick = 0; tick < 80; ++tick) {
        const auto before = Clock::now();
        co_await siding::sleep(1ms);
        longest = std::max<std::chrono::nanoseconds>(longest, Clock::now() - before);
      }
      CHECK_FALSE(blocked.done());
      CHECK(longest < 200ms * slowness);
      gate.open();
      co_await blocked;
    });
  }

  // RX-016
  TEST_CASE("a completion wakes a sleeping loop at once") {
    // 1000 calls that end when the loop sleeps; each gives the time at which it returned.
    std::vector<std::chrono::nanoseconds> gaps;
    siding::LoopCounters counters;
    EventLoop loop({.spin = 0ns});
    ThreadPool pool;
    loop.run_until_complete([&]() -> Task<> {
      const siding_test::SleepWatch watch;
      const siding::LoopCounters before = loop.counters();
      for (int i = 0; i < 1000; ++i) {
        const auto returned = co_await offload(pool, [&watch] {
          watch.wait_until_asleep();
          return Clock::now();
        });
        gaps.push_back(Clock::now() - returned);
      }
      counters = loop.counters();
      counters.sleeps -= before.sleeps;
      counters.iterations -= before.iterations;
    });

    std::ranges::sort(gaps);
    // 200 us and 2 ms on a machine that has nothing else to do; a loop that polls would show a
    // multiple of its period.
    CHECK(gaps[500] < 1ms * slowness);
    CHECK(gaps[990] < 20ms * slowness);
    CHECK(counters.sleeps >= 1000);
    CHECK(counters.iterations <= 2 * 1000);
  }

  // RX-016
  TEST_CASE("a loop that waits for a call does not poll") {
    Gate gate;
    EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      std::uint64_t iterations = 0;
      const Future<> caller = create_task([&]() -> Task<> {
        iterations = loop.counters().iterations;
        co_await to_thread(siding_test::pass, gate.key());
        iterations = loop.counters().iterations - iterations;
      });
      co_await turns(1);
      std::thread opener([&gate] {
        std::this_thread::sleep_for(100ms);  // a test about time: what goes on meanwhile is counted
        gate.open();
      });
      co_await caller;
      opener.join();
      CHECK(iterations <= 5);
      co_await loop.shutdown_default_executor();
    });
  }

  // RX-017
  TEST_CASE("a burst of completions is taken in batches") {
    constexpr int count = 10'000;
    Gate gate;
    EventLoop loop;
    ThreadPool pool({.max_workers = 4});
    int resumed = 0;
    loop.run_until_complete([&]() -> Task<> {
      std::vector<Future<>> callers;
      for (int i = 0; i < 4; ++i) {
        callers.push_back(create_task(offload(pool, siding_test::pass, gate.key())));
      }
      for (int i = 0; i < count; ++i) {
        callers.push_back(create_task([&]() -> Task<> {
          co_await offload(pool, add, 1, 2);
          ++resumed;
        }));
      }
      co_await turns(1);
      gate.wait_for_arrivals(4);
      const siding::LoopCounters before = loop.counters();
      gate.open();
      co_await siding::wait(callers);
      CHECK(resumed == count);
      const siding::LoopCounters after = loop.counters();
      CHECK(after.wakes - before.wakes <= after.sleeps - before.sleeps);
      // On one processor the loop may run, and sleep again, after each single completion.
      if (std::thread::hardware_concurrency() > 1) CHECK(after.wakes - before.wakes < count / 10);
    });
  }

  TEST_CASE("virtual time stands still while a call runs") {
    Gate gate;
    siding_test::VirtualLoop virtual_loop;
    ThreadPool pool;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<> sleeper = create_task([]() -> Task<> { co_await siding::sleep(1h); });
      const siding_test::SleepWatch watch;
      co_await offload(pool, [&watch] { watch.wait_until_asleep(); });
      CHECK(virtual_loop.elapsed() == 0ns);
      co_await sleeper;
      CHECK(virtual_loop.elapsed() == 1h);
    });
  }
}

TEST_SUITE("offload: a loop that is closed while a call runs") {
  // The frame of a waited-for call, and what the function refers to in it.
  struct Frame {
    Counts locals;
    std::atomic<int> alive_at_return{-1};
  };

  // What a function does that returns late: leaves a destroyer all the time it could want.
  void dawdle() {
    for (int i = 0; i < 1000; ++i)
      std::this_thread::yield();
  }

  // RX-009
  TEST_CASE("a frame is destroyed only after the function has returned") {
    const LeakGuard guard;
    Gate gate;
    Frame frame;
    int written = 0;
    {
      ThreadPool pool;
      EventLoop loop;
      const Future<> caller = loop.create_task([&]() -> Task<> {
        int local = 0;
        const Counted counted(frame.locals);
        // It returns after the stop request, which comes from the frame's own end.
        co_await offload(pool, [&](std::stop_token token) {
          arrive(gate.key());
          while (!token.stop_requested())
            std::this_thread::yield();
          dawdle();
          local = 7;
          written = local;
          frame.alive_at_return = frame.locals.alive();
        });
      });
      loop.run_until_complete([&]() -> Task<> {
        co_await turns(1);
        gate.wait_for_arrivals(1);
      });

      loop.close();

      CHECK(written == 7);
      CHECK(frame.alive_at_return == 1);
      CHECK(frame.locals.alive() == 0);
      CHECK_THROWS_AS(caller.result(), siding::LoopClosed);
    }
  }

  // RX-009
  TEST_CASE("the same for a function that knows nothing of it") {
    Gate gate;
    Frame frame;
    ThreadPool pool;
    EventLoop loop;
    struct Opener {
      Gate& gate;
      ~Opener() { gate.open(); }
    };
    loop.create_task([&]() -> Task<> {
      const Counted counted(frame.locals);
      co_await offload(pool, [&] {
        pass(gate.key());
        dawdle();
        frame.alive_at_return = frame.locals.alive();
      });
    });
    loop.run_until_complete([&]() -> Task<> {
      co_await turns(1);
      gate.wait_for_arrivals(1);
    });
    // The newest task is ended first, and its end lets the function go on.
    loop.create_task([&]() -> Task<> {
      const Opener opener{gate};
      co_await siding::sleep(1h);
    });
    loop.run_until_complete(turns(1));

    loop.close();

    CHECK(frame.alive_at_return == 1);
    CHECK(frame.locals.alive() == 0);
  }

  TEST_CASE("what the function then throws goes to the log, once") {
    const siding_test::LogCapture log;
    Gate gate;
    ThreadPool pool;
    EventLoop loop;
    loop.create_task([&]() -> Task<> {
      co_await offload(pool, [&](std::stop_token token) {
        arrive(gate.key());
        while (!token.stop_requested())
          std::this_thread::yield();
        throw std::runtime_error("seen by nobody");
      });
    });
    loop.run_until_complete([&]() -> Task<> {
      co_await turns(1);
      gate.wait_for_arrivals(1);
    });

    loop.close();

    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find("seen by nobody") != std::string::npos);
  }

  TEST_CASE("a call that is queued is taken back") {
    siding_test::HeldExecutor executor;
    bool called = false;
    EventLoop loop;
    loop.create_task([&]() -> Task<> { co_await offload(executor, [&] { called = true; }); });
    loop.run_until_complete(turns(1));
    REQUIRE(executor.held() == 1);

    loop.close();

    CHECK(executor.held() == 0);
    CHECK_FALSE(called);
  }

  TEST_CASE("a result that has not been taken yet is dropped") {
    Gate gate;
    Counts results;
    ThreadPool pool;
    EventLoop loop;
    loop.create_task([&]() -> Task<> {
      co_await offload(pool, [&] {
        pass(gate.key());
        return Counted(results);
      });
    });
    loop.run_until_complete([&]() -> Task<> {
      co_await turns(1);
      gate.wait_for_arrivals(1);
    });
    gate.open();
    pool.shutdown();
    CHECK(results.alive() == 1);

    loop.close();

    CHECK(results.alive() == 0);
  }

  TEST_CASE("an abandoned call and one of run_in_executor run on, and are dropped") {
    Gate gate;
    Counts results;
    ThreadPool pool;
    {
      EventLoop loop;
      const auto passes = [&results](siding_test::GateKey key) {
        pass(key);
        return Counted(results);
      };
      loop.create_task([&]() -> Task<> {
        co_await offload(pool, {.on_cancel = siding::OnCancel::abandon}, passes, gate.key());
      });
      loop.create_task(
          [&]() -> Task<> { co_await siding::run_in_executor(pool, passes, gate.key()); });
      loop.run_until_complete([&]() -> Task<> {
        co_await turns(1);
        gate.wait_for_arrivals(2);
      });
    }
    gate.open();
    pool.shutdown();
    CHECK(results.made == 2);
    CHECK(results.alive() == 0);
  }
}

}  // namespace siding_test::offload_loop_test
