// SPDX-License-Identifier: MIT
// std::stop_token both ways: tokens that cancel tasks, and cancellations seen as tokens.
#include <siding/stop_token.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/outcome.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/timeout.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::stop_token_test {

using namespace std::chrono_literals;
using siding::AnyFuture;
using siding::Cancelled;
using siding::create_task;
using siding::current_stop_token;
using siding::EventLoop;
using siding::Future;
using siding::Outcome;
using siding::Promise;
using siding::Task;

template <class Body>
void on_a_loop(Body body) {
  VirtualLoop virtual_loop;
  virtual_loop.loop.run_until_complete(body());
}

Task<> sleeps() { co_await siding::sleep(1h); }

Task<std::string> ending_of(AnyFuture future) {
  try {
    co_await future;
  } catch (const Cancelled& cancelled) {
    co_return "cancelled: " + cancelled.reason();
  }
  co_return "value";
}

// A plain function that goes on until it is asked to stop.
void works_until_stopped(const std::stop_token& token) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, token, [] { return false; });
}

TEST_SUITE("cancel_on_stop") {
  // CC-007
  TEST_CASE("a stop requested on another thread cancels the task, and wakes its loop") {
    std::stop_source source;
    std::string ending;
    Gate asleep;

    std::thread stopper([&] {
      asleep.wait_for_arrivals(1);
      source.request_stop();
    });
    siding::run([&]() -> Task<> {
      const Future<> task = create_task(sleeps());
      siding::cancel_on_stop(task, source.get_token());
      co_await turns(2);
      arrive(asleep.key());
      ending = co_await ending_of(task);
    });
    stopper.join();

    CHECK(ending == "cancelled: a stop was requested");
  }

  TEST_CASE("a whole run ends with the std::jthread it is in") {
    bool entered = false;
    bool cancelled = false;
    Gate running;

    std::jthread background([&](const std::stop_token& token) {
      try {
        siding::run([&]() -> Task<> {
          siding::cancel_on_stop(siding::current_task(), token);
          entered = true;
          arrive(running.key());
          co_await sleeps();
        });
      } catch (const Cancelled&) {
        cancelled = true;
      }
    });
    running.wait_for_arrivals(1);
    background.request_stop();
    background.join();

    CHECK(entered);
    CHECK(cancelled);
  }

  TEST_CASE("a token that was tripped before cancels at once") {
    on_a_loop([]() -> Task<> {
      std::stop_source source;
      source.request_stop();
      bool entered = false;
      const Future<> task = create_task([&]() -> Task<> {
        entered = true;
        co_return;
      });
      siding::cancel_on_stop(task, source.get_token());
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK_FALSE(entered);
    });
  }

  TEST_CASE("on the loop's own thread a stop is what cancel() is there") {
    on_a_loop([]() -> Task<> {
      std::stop_source source;
      bool went_on = false;
      const Future<> task = create_task([&]() -> Task<> {
        source.request_stop();
        CHECK(siding::current_task().cancelling() == 1);
        co_await siding::sleep(1h);
        went_on = true;
      });
      siding::cancel_on_stop(task, source.get_token());
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK_FALSE(went_on);
    });
  }

  TEST_CASE("a task may take the request back, as any other") {
    on_a_loop([]() -> Task<> {
      std::stop_source source;
      const Future<int> task = create_task([]() -> Task<int> {
        bool asked = false;
        try {
          co_await sleeps();
        } catch (const Cancelled&) {
          asked = true;
        }
        if (asked) siding::current_task().uncancel();
        co_await siding::sleep(1ms);
        co_return 4;
      });
      siding::cancel_on_stop(task, source.get_token());
      co_await turns(2);
      source.request_stop();
      const int value = co_await task;
      CHECK(value == 4);
    });
  }

  TEST_CASE("a task that has ended is let go, and a later stop changes nothing") {
    on_a_loop([]() -> Task<> {
      std::stop_source source;
      std::weak_ptr<int> kept;
      {
        Future<std::shared_ptr<int>> task = create_task([]() -> Task<std::shared_ptr<int>> {
          co_await turns(1);
          co_return std::make_shared<int>(3);
        });
        siding::cancel_on_stop(task, source.get_token());
        const std::shared_ptr<int> value = co_await std::move(task);
        kept = value;
        CHECK(value.use_count() == 1);  // it was moved: the binding holds no handle any more
      }
      CHECK(kept.expired());

      Future<int> done = create_task([]() -> Task<int> { co_return 5; });
      co_await siding::wait(done);
      siding::cancel_on_stop(done, source.get_token());
      source.request_stop();
      siding::cancel_on_stop(done, source.get_token());
      CHECK(done.result() == 5);
    });
  }

  TEST_CASE("a token that can never be tripped changes nothing") {
    on_a_loop([]() -> Task<> {
      const Future<> task = create_task([]() -> Task<> { co_return; });
      siding::cancel_on_stop(task, std::stop_token());
      co_await task;
    });
  }

  TEST_CASE("a queued call is taken back, and a promise is cancelled") {
    siding::ThreadPool pool({.max_workers = 1});
    Gate gate;
    std::stop_source source;
    bool ran = false;
    siding::run([&]() -> Task<> {
      const Future<> busy = siding::run_in_executor(pool, pass, gate.key());
      gate.wait_for_arrivals(1);
      const Future<> queued = siding::run_in_executor(pool, [&] { ran = true; });
      const Promise<int> promise;
      siding::cancel_on_stop(queued, source.get_token());
      siding::cancel_on_stop(promise.future(), source.get_token());
      std::thread([&] { source.request_stop(); }).join();
      co_await siding::wait(queued, promise.future());
      CHECK(queued.cancelled());
      CHECK(promise.future().cancelled());
      gate.open();
      co_await busy;
    });
    pool.shutdown();
    CHECK_FALSE(ran);
  }

  TEST_CASE("a stop after the loop was closed does nothing, also where the future has not ended") {
    std::stop_source source;
    std::optional<Promise<int>> promise(std::in_place);
    {
      EventLoop loop;
      const Future<> task = loop.create_task(sleeps());
      loop.run_until_complete([&]() -> Task<> {
        siding::cancel_on_stop(task, source.get_token());
        siding::cancel_on_stop(promise->future(), source.get_token());
        co_await turns(2);
      }());
    }
    source.request_stop();
    CHECK_FALSE(promise->future().done());
    promise->set_value(1);
  }

  TEST_CASE("a task ends while the thread that requests the stop is held up by somebody else") {
    std::stop_source source;
    Gate gate;
    siding::run([&]() -> Task<> {
      Promise<void> promise;
      const Future<> task = create_task([&]() -> Task<> { co_await promise.future(); });
      const std::stop_callback held_up(source.get_token(), [&] { pass(gate.key()); });
      siding::cancel_on_stop(task, source.get_token());
      const std::stop_callback first(source.get_token(), [] {});
      std::thread stopper([&] { source.request_stop(); });
      gate.wait_for_arrivals(1);
      if (!promise.future().done()) promise.set_value();
      co_await siding::wait(task);
      CHECK(task.done());
      gate.open();
      stopper.join();
    });
  }

  TEST_CASE("of a stop and the end of a task at the same time one comes first") {
    constexpr std::size_t rounds = 2000;
    std::vector<std::stop_source> sources(rounds);
    std::atomic<std::size_t> bound{0};  // release by the loop: how many sources are bound
    std::thread stopper([&] {
      for (std::size_t i = 0; i < rounds; ++i) {
        while (bound.load(std::memory_order_acquire) <= i) std::this_thread::yield();
        sources[i].request_stop();
      }
    });
    std::size_t values = 0;
    std::size_t cancellations = 0;
    siding::run([&]() -> Task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        const Future<> task = create_task(turns(static_cast<int>(i % 7)));
        siding::cancel_on_stop(task, sources[i].get_token());
        bound.store(i + 1, std::memory_order_release);
        const Outcome<void> outcome = co_await siding::outcome_of(task);
        values += outcome.has_value() ? 1U : 0U;
        cancellations += outcome.cancelled() ? 1U : 0U;
      }
    });
    stopper.join();
    CHECK(values + cancellations == rounds);
  }

  TEST_CASE("it needs a loop and a future") {
    std::stop_source source;
    const Promise<int> promise;
    CHECK_THROWS_WITH_AS(siding::cancel_on_stop(promise.future(), source.get_token()),
                         "cancel_on_stop needs a running loop: call it in a coroutine given to "
                         "siding::run()",
                         siding::NoRunningLoop);
    on_a_loop([&]() -> Task<> {
      CHECK_THROWS_AS(siding::cancel_on_stop(AnyFuture(), source.get_token()),
                      siding::InvalidStateError);
      co_return;
    });
  }
}

TEST_SUITE("current_stop_token") {
  // CC-007
  TEST_CASE("a plain function on another thread sees that its task is asked to end") {
    siding::run([]() -> Task<> {
      const Future<> task = create_task([]() -> Task<> {
        std::jthread worker([token = current_stop_token()] { works_until_stopped(token); });
        co_await sleeps();
      });
      co_await turns(2);
      task.cancel();
      co_await siding::wait(task);
      CHECK(task.cancelled());
    });
  }

  TEST_CASE("it is not tripped while nobody asks, nor by a normal end") {
    std::stop_token token;
    on_a_loop([&]() -> Task<> {
      const Future<> task = create_task([&]() -> Task<> {
        token = current_stop_token();
        CHECK(token.stop_possible());
        CHECK(current_stop_token() == token);
        co_await siding::sleep(1ms);
        CHECK(current_stop_token() == token);
      });
      co_await task;
    });
    CHECK_FALSE(token.stop_requested());
  }

  TEST_CASE("a request that waits for the next await has tripped it, one taken back has not") {
    on_a_loop([]() -> Task<> {
      const Future<> task = create_task([]() -> Task<> {
        const std::stop_token before = current_stop_token();
        siding::current_task().cancel();
        CHECK(before.stop_requested());
        CHECK(current_stop_token().stop_requested());
        siding::current_task().uncancel();
        CHECK_FALSE(current_stop_token().stop_requested());
        siding::current_task().cancel();
        CHECK(current_stop_token().stop_requested());
        co_await siding::yield();
        FAIL("the await has to throw");
      });
      co_await siding::wait(task);
      CHECK(task.cancelled());
    });
  }

  TEST_CASE("the first token that a task asks for is tripped too, if a request waits") {
    on_a_loop([]() -> Task<> {
      const Future<> task = create_task([]() -> Task<> {
        siding::current_task().cancel();
        CHECK(current_stop_token().stop_requested());
        co_return;
      });
      co_await siding::wait(task);
      CHECK(task.cancelled());
    });
  }

  TEST_CASE("after a request was thrown there is a new one, for tidying up") {
    on_a_loop([]() -> Task<> {
      std::stop_token first;
      bool tidied = false;
      const Future<> task = create_task([&]() -> Task<> {
        first = current_stop_token();
        try {
          co_await sleeps();
        } catch (const Cancelled&) {
          CHECK(first.stop_requested());
          const std::stop_token second = current_stop_token();
          CHECK_FALSE(second.stop_requested());
          tidied = true;
        }
      });
      co_await turns(2);
      task.cancel();
      co_await siding::wait(task);
      CHECK(tidied);
    });
  }

  TEST_CASE("a deadline trips it, and what follows the TimeoutError has a new one") {
    on_a_loop([]() -> Task<> {
      const std::stop_token outer = current_stop_token();
      bool late = false;
      try {
        co_await siding::timeout(5ms, [&]() -> Task<> {
          CHECK(current_stop_token() == outer);  // a body is no task of its own
          co_await sleeps();
        });
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
      CHECK(outer.stop_requested());
      CHECK_FALSE(current_stop_token().stop_requested());
    });
  }

  TEST_CASE("children that are awaited share it, tasks have their own") {
    on_a_loop([]() -> Task<> {
      const std::stop_token own = current_stop_token();
      const auto ask = []() -> Task<std::stop_token> { co_return current_stop_token(); };
      const std::stop_token childs = co_await ask();
      CHECK(childs == own);
      const std::stop_token others = co_await create_task(ask());
      CHECK(others != own);
      CHECK(others.stop_possible() == false);  // that task has ended
    });
  }

  TEST_CASE("its callbacks run on the loop's thread, and may cancel other tasks") {
    on_a_loop([]() -> Task<> {
      const Future<> first = create_task(sleeps());
      const Future<> second = create_task([&]() -> Task<> { co_await first; });
      std::thread::id thread;
      const Future<> third = create_task([&]() -> Task<> {
        const std::stop_callback callback(current_stop_token(), [&] {
          thread = std::this_thread::get_id();
          second.cancel();
          second.cancel();
        });
        co_await first;
      });
      co_await turns(2);
      third.cancel();
      co_await siding::wait(first, second, third);
      CHECK(thread == std::this_thread::get_id());
      CHECK(first.cancelled());
      CHECK(second.cancelled());
      CHECK(third.cancelled());
      CHECK(second.cancelling() == 2);
    });
  }

  TEST_CASE("outside tasks there is one that is never tripped") {
    CHECK_FALSE(current_stop_token().stop_possible());
    EventLoop loop;
    bool possible = true;
    loop.call_soon([&] {
      possible = current_stop_token().stop_possible();
      loop.stop();
    });
    loop.run_forever();
    CHECK_FALSE(possible);
  }

  TEST_CASE("closing the loop trips it before the frame goes") {
    EventLoop loop;
    const Future<> task = loop.create_task([]() -> Task<> {
      std::jthread worker([token = current_stop_token()] { works_until_stopped(token); });
      co_await sleeps();
    });
    loop.run_until_complete(turns(2));
    // The jthread's own source is not what its function looks at: closing joins it.
    loop.close();
    CHECK(task.done());
  }
}

}  // namespace siding_test::stop_token_test
