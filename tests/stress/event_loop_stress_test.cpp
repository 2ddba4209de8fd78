// SPDX-License-Identifier: MIT
// Large numbers on one loop.
#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/heap_bytes.hpp"
#include "support/leak_guard.hpp"

namespace siding_test::event_loop_stress_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding::TimerHandle;

constexpr std::size_t mebibyte = 1024 * 1024;

TEST_SUITE("EventLoop stress") {
  // LP-004
  TEST_CASE("cancelled timers do not pile up") {
    constexpr int count = 1'000'000;
    EventLoop loop;
    const std::size_t before = siding_test::heap_bytes();

    for (int i = 0; i < count; ++i)
      loop.call_later(1h, [] {}).cancel();

    CHECK(loop.counters().timers == 0);
    CHECK(siding_test::heap_bytes() < before + 10 * mebibyte);
  }

  // LP-004
  TEST_CASE("a million timers at once leave nothing when they are cancelled") {
    constexpr std::size_t count = 1'000'000;
    EventLoop loop;
    const std::size_t before = siding_test::heap_bytes();
    {
      std::vector<TimerHandle> handles;
      handles.reserve(count);
      for (std::size_t i = 0; i < count; ++i)
        handles.push_back(loop.call_later(1h, [] {}));
      CHECK(loop.counters().timers == count);

      for (TimerHandle& handle : handles)
        handle.cancel();
    }

    CHECK(loop.counters().timers == 0);
    CHECK(siding_test::heap_bytes() < before + 10 * mebibyte);
  }

  // LP-007
  TEST_CASE("calls that threads post at the same time keep each thread's order; none is lost") {
    constexpr int threads = 4;
    constexpr int calls = 100'000;
    EventLoop loop;
    std::vector<int> next(threads, 0);
    int total = 0;
    bool in_order = true;

    std::vector<std::thread> posters;
    for (int thread = 0; thread < threads; ++thread) {
      posters.emplace_back([&, thread] {
        for (int number = 0; number < calls; ++number) {
          loop.call_soon_threadsafe([&, thread, number] {
            in_order = in_order && next[static_cast<std::size_t>(thread)]++ == number;
            if (++total == threads * calls) loop.stop();
          });
        }
      });
    }
    loop.run_forever();
    for (std::thread& poster : posters)
      poster.join();

    CHECK(total == threads * calls);
    CHECK(in_order);
    CHECK(loop.counters().wakes <= loop.counters().sleeps);
  }

  // LP-008
  TEST_CASE("a call that is posted while its loop is closed is made or destroyed, never both") {
    const siding_test::LeakGuard guard;
    constexpr int threads = 3;
    for (int round = 0; round < 200; ++round) {
      auto loop = std::make_unique<EventLoop>();
      siding_test::Counts counts;
      std::atomic<int> posted = 0;
      int calls = 0;
      std::vector<std::thread> posters;
      for (int thread = 0; thread < threads; ++thread) {
        posters.emplace_back([&] {
          try {
            for (int i = 0; i < 1000; ++i) {
              loop->call_soon_threadsafe(
                  [&calls, kept = siding_test::Counted(counts)] { ++calls; });
              ++posted;
            }
          } catch (const siding::LoopClosed&) {
          }
        });
      }

      while (calls < 10 * round) {
        loop->call_soon([&] { loop->stop(); });
        loop->run_forever();
      }
      loop->close();
      for (std::thread& poster : posters)
        poster.join();

      CHECK(calls >= 10 * round);
      CHECK(calls <= posted);
      CHECK(counts.alive() == 0);
    }
  }

  // TC-011
  TEST_CASE("tasks that threads cancel while their loop runs and is closed end, one way or other") {
    const siding_test::LeakGuard guard;
    constexpr std::size_t threads = 3;
    constexpr std::size_t tasks_each = 40;
    for (int round = 0; round < 100; ++round) {
      EventLoop loop;
      std::atomic<int> cancels = 0;
      auto sleeps = []() -> Task<> { co_await siding::sleep(1h); };
      std::vector<Future<>> tasks;
      for (std::size_t i = 0; i < threads * tasks_each; ++i) {
        tasks.push_back(loop.create_task(sleeps));
      }
      std::vector<std::thread> cancellers;
      for (std::size_t thread = 0; thread < threads; ++thread) {
        cancellers.emplace_back([&, thread] {
          for (std::size_t i = 0; i < tasks_each; ++i) {
            if (tasks[i * threads + thread].cancel({.reason = "stress"})) ++cancels;
          }
        });
      }

      while (cancels < round) {
        loop.call_soon([&] { loop.stop(); });
        loop.run_forever();
      }
      loop.close();
      for (std::thread& canceller : cancellers)
        canceller.join();

      int cancelled = 0;
      for (const Future<>& task : tasks) {
        CHECK(task.done());
        if (task.cancelled()) ++cancelled;
      }
      CHECK(cancelled <= cancels);
    }
  }

  // LP-016
  TEST_CASE("cancelling a hundred thousand sleeps takes their timers away") {
    constexpr std::size_t count = 100'000;
    EventLoop loop;
    auto sleeps = []() -> Task<> { co_await siding::sleep(1h); };
    auto body = [&]() -> Task<> {
      std::vector<Future<>> tasks;
      tasks.reserve(count);
      for (std::size_t i = 0; i < count; ++i)
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
}

}  // namespace
}  // namespace siding_test::event_loop_stress_test
