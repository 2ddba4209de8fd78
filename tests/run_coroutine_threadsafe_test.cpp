// SPDX-License-Identifier: MIT
#include <siding/run_coroutine_threadsafe.hpp>

#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/future.hpp>
#include <siding/promise.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/limits.hpp"

namespace siding_test::run_coroutine_threadsafe_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Future;
using siding::run;
using siding::run_coroutine_threadsafe;
using siding::Task;
using siding_test::hang_limit;

Task<int> add(int a, int b) {
  co_await siding::sleep(1ms);
  co_return a + b;
}

Task<int> fail() {
  co_await siding::yield();
  throw std::out_of_range("no");
}

/// Says that it has begun, and whether it was cancelled while it slept.
Task<> sleep_long(siding::Promise<bool> cancelled, std::latch* begun = nullptr) {
  bool was = false;
  if (begun != nullptr) begun->count_down();
  try {
    co_await siding::sleep(1h);
  } catch (const siding::Cancelled&) {
    was = true;
  }
  cancelled.set_value(was);
  if (was) throw siding::Cancelled("enough");
}

}  // namespace

TEST_SUITE("run_coroutine_threadsafe") {
  // RX-019
  TEST_CASE("a function on a worker runs a coroutine on the loop and waits for its value") {
    run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const auto ask = [&loop] { return run_coroutine_threadsafe(add(1, 2), loop).get(hang_limit); };

      const int sum = co_await siding::to_thread(ask);

      CHECK(sum == 3);
    });
  }

  // RX-019
  TEST_CASE("errors and timeouts come back likewise, and the coroutine runs on the loop's thread") {
    run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const auto here = std::this_thread::get_id();
      const auto ask = [&loop, here] {
        CHECK_THROWS_WITH_AS(run_coroutine_threadsafe(fail(), loop).get(hang_limit), "no",
                             std::out_of_range);
        const auto where = [&]() -> Task<std::thread::id> { co_return std::this_thread::get_id(); };
        CHECK(run_coroutine_threadsafe(where, loop).get(hang_limit) == here);
        siding::Promise<bool> promise;
        const auto late = run_coroutine_threadsafe(sleep_long(std::move(promise)), loop);
        CHECK_THROWS_AS(late.get(1ms), siding::TimeoutError);
        CHECK_FALSE(late.done());
      };

      co_await siding::to_thread(ask);
    });
  }

  // RX-020
  TEST_CASE("a worker that gives the wait up and cancels has the coroutine cancelled") {
    run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      siding::Promise<bool> promise;
      const Future<bool> cancelled = promise.future();
      std::optional<Future<void>> call;
      std::latch begun(1);
      const auto give_up = [&] {
        const auto started = run_coroutine_threadsafe(sleep_long(std::move(promise), &begun), loop);
        begun.wait();  // cancelled before, it would not be entered
        CHECK_THROWS_AS(started.get(0ms), siding::TimeoutError);
        CHECK(started.cancel({.reason = "late"}));
        call = started;
      };

      co_await siding::to_thread(give_up);
      const bool was_cancelled = co_await cancelled;
      co_await siding::yield();

      CHECK(was_cancelled);
      CHECK(call->done());
      CHECK(call->cancelled());
    });
  }

  TEST_CASE("a task that is cancelled before it has come to the loop is never entered") {
    EventLoop loop;
    std::atomic<bool> entered{false};
    Future<void> early;
    std::thread other([&] {
      early = run_coroutine_threadsafe(
          [&entered]() -> Task<> {
            entered = true;
            co_return;
          },
          loop);
      CHECK(early.cancel());
    });
    other.join();
    CHECK_FALSE(early.done());

    loop.run_until_complete([&early]() -> Task<> {
      bool cancelled = false;
      try {
        co_await early;
      } catch (const siding::Cancelled&) {
        cancelled = true;
      }
      CHECK(cancelled);
    });

    CHECK(early.cancelled());
    CHECK_FALSE(entered);
  }

  TEST_CASE("it wakes a loop that sleeps, and tasks of one thread start in order") {
    EventLoop loop;
    std::vector<int> order;
    siding::Promise<void> over;
    std::thread other;
    loop.call_soon([&] {
      other = std::thread([&] {
        for (int n = 0; n < 100; ++n) {
          run_coroutine_threadsafe(
              [&order, n]() -> Task<> {
                order.push_back(n);
                co_return;
              },
              loop);
        }
        over.set_value();
      });
    });
    loop.run_until_complete([&]() -> Task<> {
      co_await over.future();
      while (order.size() < 100) co_await siding::yield();
    });
    other.join();

    CHECK(std::ranges::is_sorted(order));
  }

  TEST_CASE("on the loop's own thread it is create_task, also before the loop runs") {
    run([]() -> Task<> {
      const auto sum = run_coroutine_threadsafe(add(1, 2), EventLoop::current(), {.name = "sum"});
      CHECK(sum.name() == "sum");
      const int value = co_await sum;
      CHECK(value == 3);
    });
  }

  TEST_CASE("a loop that is closed refuses the task and destroys it") {
    EventLoop loop;
    loop.close();
    const auto kept = std::make_shared<int>(1);

    CHECK_THROWS_AS(run_coroutine_threadsafe([kept]() -> Task<> { co_return; }, loop),
                    siding::LoopClosed);

    CHECK(kept.use_count() == 1);
  }

  TEST_CASE("a loop that is closed before it came to the task fails its future") {
    const auto kept = std::make_shared<int>(1);
    std::optional<EventLoop> loop(std::in_place);
    Future<void> future;
    std::thread other([&] {
      future = run_coroutine_threadsafe([kept]() -> Task<> { co_return; }, *loop);
      future.cancel();  // is on its way as well
    });
    other.join();
    loop.reset();

    CHECK(future.done());
    CHECK_THROWS_AS(future.result(), siding::LoopClosed);
    CHECK(kept.use_count() == 1);
  }

  TEST_CASE("a task that comes while the loop ends is ended with it") {
    for (int round = 0; round < 50; ++round) {
      std::thread other;
      std::atomic<int> ended{0};
      {
        siding::Runner runner;
        runner.run([&]() -> Task<> {
          other = std::thread([&ended, &loop = EventLoop::current()] {
            for (int n = 0; n < 20; ++n) {
              try {
                run_coroutine_threadsafe(
                    []() -> Task<> { co_await siding::sleep(1h); }, loop)
                    .add_done_callback([&ended] { ++ended; });
              } catch (const siding::LoopClosed&) {
                ++ended;
              }
            }
          });
          co_return;
        });
        other.join();
      }
      CHECK(ended == 20);
    }
  }

  TEST_CASE("a task that was moved from is refused") {
    EventLoop loop;
    Task<int> task = add(1, 2);
    const Task<int> other(std::move(task));

    CHECK_THROWS_AS(run_coroutine_threadsafe(std::move(task), loop), siding::InvalidStateError);
  }
}

}  // namespace siding_test::run_coroutine_threadsafe_test
