// SPDX-License-Identifier: MIT
#include <siding/wait_for.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::wait_for_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::Future;
using siding::Limit;
using siding::Promise;
using siding::Task;
using siding::TimeoutError;
using siding::wait_for;
using siding_test::Gate;
using siding_test::turns;
using siding_test::VirtualLoop;

Task<int> gives_after(Limit length, int value) {
  co_await siding::sleep(length);
  co_return value;
}

/// Sleeps for an hour; when it is cancelled it needs 30 ms to tidy up.
Task<int> tidies_up(bool& tidied) {
  bool cancelled = false;
  try {
    co_await siding::sleep(1h);
  } catch (const Cancelled&) {
    cancelled = true;
  }
  co_await siding::sleep(30ms);
  tidied = true;
  if (cancelled) throw Cancelled();
  co_return 0;
}

/// Awaits it and says in one word what came of it.
template <class A>
Task<std::string> ending_of(A awaitable) {
  try {
    if constexpr (std::is_void_v<siding::await_result_t<A>>) {
      co_await std::move(awaitable);
    } else {
      [[maybe_unused]] const auto value = co_await std::move(awaitable);
    }
    co_return "value";
  } catch (const TimeoutError&) {
    co_return "TimeoutError";
  } catch (const std::logic_error&) {
    co_return "logic_error";
  } catch (const Cancelled&) {
    co_return "Cancelled";
  }
}

}  // namespace

TEST_SUITE("wait_for") {
  // WT-013
  TEST_CASE("gives the value if it comes in time, and leaves no timer") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const int value = co_await wait_for(gives_after(50ms, 42), 60ms);
      CHECK(value == 42);
      CHECK(virtual_loop.elapsed() == 50ms);
      CHECK(virtual_loop.loop.counters().timers == 0);
    });
  }

  // WT-013
  TEST_CASE("past the limit it cancels, waits for the end, and throws TimeoutError") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool tidied = false;
      const std::string outcome = co_await ending_of(wait_for(tidies_up(tidied), 10ms));
      CHECK(outcome == "TimeoutError");
      CHECK(tidied);
      CHECK(virtual_loop.elapsed() == 40ms);

      // The same for the future of a task.
      tidied = false;
      const Future<int> inner = create_task(tidies_up(tidied));
      const std::string again = co_await ending_of(wait_for(inner, 10ms));
      CHECK(again == "TimeoutError");
      CHECK(tidied);
      CHECK(inner.cancelled());
      CHECK(virtual_loop.elapsed() == 80ms);
    });
  }

  // WT-013
  TEST_CASE("a timeout leaves no cancellation request behind") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const std::string outcome = co_await ending_of(wait_for(gives_after(1h, 1), 10ms));
      CHECK(outcome == "TimeoutError");
      CHECK(siding::current_task().cancelling() == 0);
      co_await siding::sleep(1ms);
      CHECK(virtual_loop.elapsed() == 11ms);
    });
  }

  // WT-014
  TEST_CASE("without a limit it just waits") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const int value = co_await wait_for(gives_after(50ms, 42), std::nullopt);
      CHECK(value == 42);
      const int later = co_await wait_for(gives_after(1h, 43), std::chrono::hours::max());
      CHECK(later == 43);
    });
  }

  // WT-015
  TEST_CASE("with no time at all it gives what is done, and starts nothing") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      for (const auto limit : {0ms, -1ms}) {
        Promise<int> promise;
        promise.set_value(42);
        const int value = co_await wait_for(promise.future(), limit);
        CHECK(value == 42);

        bool flag = false;
        const auto sets_flag = [&flag]() -> Task<> {
          flag = true;
          co_return;
        };
        const std::string outcome = co_await ending_of(wait_for(sets_flag(), limit));
        CHECK(outcome == "TimeoutError");
        CHECK_FALSE(flag);
      }
      CHECK(virtual_loop.elapsed() == 0ms);
    });
  }

  // WT-015
  TEST_CASE("with no time at all it cancels a future that is not done, and waits for its end") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool tidied = false;
      const Future<int> inner = create_task(tidies_up(tidied));
      co_await turns(1);
      const std::string outcome = co_await ending_of(wait_for(inner, 0ms));
      CHECK(outcome == "TimeoutError");
      CHECK(tidied);
      CHECK(inner.cancelled());
    });
  }

  // WT-015
  TEST_CASE("it does not wait for what cannot be cancelled, whatever the limit") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      for (const auto limit : {0ms, 10ms}) {
        Promise<int> begun;
        CHECK(begun.start());
        const Future<std::string> caller = create_task(ending_of(wait_for(begun.future(), limit)));
        co_await siding::sleep(10ms);
        co_await turns(3);
        CHECK(caller.done());
        begun.set_value(1);
        const std::string outcome = co_await caller;
        CHECK(outcome == "TimeoutError");
      }
    });
  }

  // WT-016
  TEST_CASE("what the awaited answers its cancellation with is thrown") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const auto stubborn = []() -> Task<int> {
        try {
          co_await siding::sleep(1h);
        } catch (const Cancelled&) {
          throw std::logic_error("in the clean-up");
        }
        co_return 0;
      };
      const std::string outcome = co_await ending_of(wait_for(stubborn(), 10ms));
      CHECK(outcome == "logic_error");
      const std::string of_future = co_await ending_of(wait_for(create_task(stubborn()), 10ms));
      CHECK(of_future == "logic_error");
    });
  }

  // WT-013
  TEST_CASE("a value that comes in the same iteration as the timeout is given") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Promise<int> promise;
      const Future<int> caller = create_task(wait_for(promise.future(), 10ms));
      co_await turns(1);
      promise.set_value(42);
      virtual_loop.clock.advance(10ms);
      const int value = co_await caller;
      CHECK(value == 42);
    });
  }

  // WT-017
  TEST_CASE("being cancelled cancels the awaited and waits for its end") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool tidied = false;
      bool tidied_task = false;
      const Future<int> inner = create_task(tidies_up(tidied_task));
      const Future<int> caller = create_task(wait_for(tidies_up(tidied), 60s));
      const Future<int> other = create_task(wait_for(inner, 60s));
      co_await turns(2);
      caller.cancel();
      other.cancel();
      co_await turns(3);
      CHECK_FALSE(caller.done());
      CHECK_FALSE(other.done());
      co_await siding::wait(caller, other);
      CHECK(virtual_loop.elapsed() == 30ms);
      CHECK(caller.cancelled());
      CHECK(tidied);
      CHECK(other.cancelled());
      CHECK(tidied_task);
      CHECK(inner.cancelled());
      CHECK(virtual_loop.loop.counters().timers == 0);
    });
  }

  TEST_CASE("the inner of two limits that pass at once is told first, the outer then") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const std::string outer_first =
          co_await ending_of(wait_for(wait_for(gives_after(1h, 1), 20ms), 10ms));
      CHECK(outer_first == "TimeoutError");
      CHECK(virtual_loop.elapsed() == 10ms);
      const std::string both =
          co_await ending_of(wait_for(wait_for(gives_after(1h, 1), 10ms), 10ms));
      CHECK(both == "TimeoutError");
      CHECK(siding::current_task().cancelling() == 0);
      co_await siding::sleep(1ms);
    });
  }
}

TEST_SUITE("wait_for: an offloaded call") {
  // What is awaited, and whether it lasts until the function has returned.
  enum class Around { run_in_executor, abandoned, to_thread };

  Task<std::string> timed_call(Around around, siding::Executor & executor,
                               siding_test::GateKey gate, std::atomic<bool> & returned) {
    const auto function = [&returned, gate] {
      pass(gate);
      returned = true;
    };
    if (around == Around::run_in_executor) {
      co_return co_await ending_of(wait_for(siding::run_in_executor(executor, function), 100ms));
    }
    const auto on_cancel =
        around == Around::abandoned ? siding::OnCancel::abandon : siding::OnCancel::wait;
    co_return co_await ending_of(
        wait_for(siding::offload(executor, {.on_cancel = on_cancel}, function), 100ms));
  }

  // RX-024
  TEST_CASE("ends on time where the call is let go, else when the function has returned") {
    for (const Around around : {Around::run_in_executor, Around::abandoned, Around::to_thread}) {
      const bool waits = around == Around::to_thread;
      CAPTURE(waits);
      Gate gate;
      std::atomic<bool> returned{false};
      siding::ThreadPool pool;
      VirtualLoop virtual_loop;
      virtual_loop.loop.run_until_complete([&]() -> Task<> {
        const Future<std::string> caller =
            create_task(timed_call(around, pool, gate.key(), returned));
        co_await turns(2);
        gate.wait_for_arrivals(1);
        virtual_loop.clock.advance(99ms);
        co_await turns(3);
        CHECK_FALSE(caller.done());

        virtual_loop.clock.advance(1ms);
        co_await turns(4);

        CHECK(caller.done() == !waits);
        CHECK_FALSE(returned);
        gate.open();
        const std::string outcome = co_await caller;
        CHECK(outcome == "TimeoutError");
        if (waits) CHECK(returned);
        pool.shutdown();
        CHECK(returned);
      });
    }
  }

  // RX-024
  TEST_CASE("by the real clock: never early, and the loop goes on") {
    Gate gate;
    siding::EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      const auto start = siding::Clock::now();
      const std::string outcome = co_await ending_of(
          wait_for(siding::run_in_executor(nullptr, siding_test::pass, gate.key()), 20ms));
      const auto elapsed = siding::Clock::now() - start;
      CHECK(outcome == "TimeoutError");
      CHECK(elapsed >= 20ms);
      CHECK(elapsed < 1s * siding_test::slowness);
      co_await siding::sleep(1ms);
      gate.open();
      co_await loop.shutdown_default_executor();
    });
  }

  // RX-010
  TEST_CASE("a function that takes a stop token learns of the timeout, and is waited for") {
    Gate running;
    Gate returning;
    std::atomic<bool> stopped{false};
    siding::ThreadPool pool;
    VirtualLoop virtual_loop;
    const auto function = [&](std::stop_token token) {
      arrive(running.key());
      while (!token.stop_requested())
        std::this_thread::yield();
      pass(returning.key());
      stopped = true;
    };
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<std::string> caller = create_task([&]() -> Task<std::string> {
        co_return co_await ending_of(wait_for(siding::offload(pool, function), 10ms));
      });
      co_await turns(2);
      running.wait_for_arrivals(1);

      virtual_loop.clock.advance(10ms);
      co_await turns(4);

      returning.wait_for_arrivals(1);
      CHECK_FALSE(caller.done());
      returning.open();
      const std::string outcome = co_await caller;
      CHECK(outcome == "TimeoutError");
      CHECK(stopped);
    });
  }

  TEST_CASE("one of submit() that runs is left alone, whatever the limit") {
    Gate gate;
    siding::ThreadPool pool;
    siding::EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      const Future<int> call = pool.submit(siding_test::pass_with, gate.key(), 7);
      gate.wait_for_arrivals(1);
      for (const auto limit : {0ms, 1ms}) {
        const std::string outcome = co_await ending_of(wait_for(call, limit));
        CHECK(outcome == "TimeoutError");
        CHECK_FALSE(call.done());
      }
      gate.open();
      const int value = co_await call;
      CHECK(value == 7);
    });
  }
}

}  // namespace siding_test::wait_for_test
