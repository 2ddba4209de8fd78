// SPDX-License-Identifier: MIT
#include <siding/promise.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/task.hpp>
#include <siding/thread_pool.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/leak_guard.hpp"
#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/thread_state.hpp"
#include "support/turns.hpp"

namespace siding_test::promise_test {
namespace {

using siding::create_task;
using siding::EventLoop;
using siding::Future;
using siding::InvalidStateError;
using siding::Promise;
using siding::run;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::turns;

std::exception_ptr out_of_range() { return std::make_exception_ptr(std::out_of_range("far")); }

/// Awaits a future and says in one word what came of it.
Task<std::string> outcome_of(Future<int> future) {
  try {
    const int value = co_await future;
    co_return std::to_string(value);
  } catch (const std::out_of_range&) {
    co_return "out_of_range";
  } catch (const siding::Cancelled&) {
    co_return "cancelled";
  }
}

}  // namespace

TEST_SUITE("Promise") {
  // AF-001
  TEST_CASE("delivers a value, an error or a cancellation to who awaits its future") {
    run([]() -> Task<> {
      Promise<int> value;
      Promise<int> error;
      Promise<int> cancelled;
      std::vector<Future<std::string>> awaiters;
      for (Promise<int>* promise : {&value, &error, &cancelled}) {
        awaiters.push_back(create_task(outcome_of(promise->future())));
      }
      co_await turns(1);
      for (const auto& awaiter : awaiters)
        CHECK_FALSE(awaiter.done());

      value.set_value(42);
      error.set_exception(out_of_range());
      CHECK(cancelled.future().cancel());
      co_await siding::wait(awaiters);

      CHECK(awaiters[0].result() == "42");
      CHECK(awaiters[1].result() == "out_of_range");
      CHECK(awaiters[2].result() == "cancelled");
    });
  }

  // AF-001
  TEST_CASE("an outcome that is there already is given without a suspension") {
    run([]() -> Task<> {
      Promise<int> promise;
      promise.set_value(42);
      const std::uint64_t before = EventLoop::current().counters().iterations;
      const int value = co_await promise.future();
      CHECK(value == 42);
      CHECK(EventLoop::current().counters().iterations == before);
    });
  }

  // AF-008
  TEST_CASE("several awaiters of one future all get its outcome") {
    run([]() -> Task<> {
      for (const bool fails : {false, true}) {
        Promise<int> promise;
        std::vector<Future<std::string>> awaiters;
        for (int i = 0; i < 3; ++i) {
          awaiters.push_back(create_task(outcome_of(promise.future())));
        }
        co_await turns(1);
        if (fails) {
          promise.set_exception(out_of_range());
        } else {
          promise.set_value(42);
        }
        co_await siding::wait(awaiters);
        for (const auto& awaiter : awaiters) {
          CHECK(awaiter.result() == (fails ? "out_of_range" : "42"));
        }
      }
    });
  }

  // AF-008
  TEST_CASE("several awaiters of one task all get its outcome") {
    run([]() -> Task<> {
      for (const bool fails : {false, true}) {
        const Future<int> task = create_task([fails]() -> Task<int> {
          co_await turns(2);
          if (fails) throw std::out_of_range("far");
          co_return 42;
        });
        std::vector<Future<std::string>> awaiters;
        for (int i = 0; i < 3; ++i)
          awaiters.push_back(create_task(outcome_of(task)));
        co_await siding::wait(awaiters);
        for (const auto& awaiter : awaiters) {
          CHECK(awaiter.result() == (fails ? "out_of_range" : "42"));
        }
      }
    });
  }

  // AF-002
  TEST_CASE("done-callbacks added on a loop run through it, in the order added") {
    run([]() -> Task<> {
      Promise<int> promise;
      std::vector<int> order;
      for (int i = 0; i < 3; ++i) {
        promise.future().add_done_callback([&order, i](const Future<int>& future) {
          CHECK(future.result() == 42);
          order.push_back(i);
        });
      }

      promise.set_value(42);
      CHECK(order.empty());

      co_await turns(1);
      CHECK(order == std::vector<int>{0, 1, 2});

      promise.future().add_done_callback([&order] { order.push_back(3); });
      CHECK(order.size() == 3);
      co_await turns(1);
      CHECK(order.size() == 4);
    });
  }

  // AF-002
  TEST_CASE("a done-callback added on a loop runs there, whoever completes") {
    siding::ThreadPool pool;
    run([&]() -> Task<> {
      const auto here = std::this_thread::get_id();
      auto promise = std::make_shared<Promise<int>>();
      std::optional<std::thread::id> there;
      promise->future().add_done_callback([&there] { there = std::this_thread::get_id(); });
      co_await siding::offload(pool, [&promise] { promise->set_value(42); });
      co_await turns(1);
      CHECK(there == here);
    });
  }

  // FU-011
  TEST_CASE("the outcome is given once: a second one is an error, and the first stays") {
    Promise<int> promise;
    promise.set_value(1);
    CHECK_THROWS_AS(promise.set_value(2), InvalidStateError);
    CHECK_THROWS_AS(promise.set_exception(out_of_range()), InvalidStateError);
    CHECK_THROWS_AS(promise.set_cancelled(), InvalidStateError);
    CHECK(promise.future().result() == 1);

    Promise<int> failed;
    failed.set_exception(out_of_range());
    CHECK_THROWS_AS(failed.set_value(2), InvalidStateError);
    CHECK_THROWS_AS(failed.future().result(), std::out_of_range);
  }

  // FU-011
  TEST_CASE("of two threads that give an outcome at once, one is told that it came too late") {
    for (int round = 0; round < 200; ++round) {
      Promise<int> promise;
      std::atomic<int> refused{0};
      std::atomic<int> ready{0};
      const auto give = [&](int value) {
        ++ready;
        while (ready != 2)
          std::this_thread::yield();
        try {
          promise.set_value(value);
        } catch (const InvalidStateError&) {
          refused += value;
        }
      };
      std::thread other(give, 1);
      give(2);
      other.join();
      CHECK(promise.future().result() + refused == 3);
    }
  }

  // FU-012
  TEST_CASE("start() says no if the future was cancelled, whose waiters wake") {
    Promise<int> promise;
    std::atomic<bool> woken{false};
    std::atomic<pid_t> id{0};
    std::thread waiter([&woken, &id, future = promise.future()] {
      id = ::gettid();
      CHECK_THROWS_AS(future.get(), siding::Cancelled);
      woken = true;
    });
    CHECK(siding_test::becomes_true([&] { return siding_test::is_asleep(id); }));

    CHECK(promise.future().cancel());
    waiter.join();

    CHECK(woken);
    CHECK(promise.future().cancelled());
    CHECK_FALSE(promise.start());
    CHECK_FALSE(promise.future().running());
  }

  // FU-012
  TEST_CASE("start() makes the future running, and cancel() says no from then on") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    CHECK_FALSE(future.running());

    CHECK(promise.start());

    CHECK(future.running());
    CHECK_FALSE(future.cancel());
    CHECK_FALSE(future.done());
    promise.set_value(7);
    CHECK(future.result() == 7);
    CHECK_FALSE(future.running());
    CHECK_FALSE(future.cancel());
  }

  // FU-012
  TEST_CASE("starting and cancelling exclude each other") {
    for (int round = 0; round < 200; ++round) {
      Promise<int> promise;
      std::atomic<int> ready{0};
      bool cancelled = false;
      std::thread other([&, future = promise.future()] {
        ++ready;
        while (ready != 2)
          std::this_thread::yield();
        cancelled = future.cancel();
      });
      ++ready;
      while (ready != 2)
        std::this_thread::yield();
      const bool started = promise.start();
      other.join();
      CHECK(started != cancelled);
      if (started) promise.set_value(1);
    }
  }

  // FU-013
  TEST_CASE("one that is dropped without an outcome fails its future with BrokenPromise") {
    Future<int> future;
    {
      Promise<int> promise;
      future = promise.future();
      Promise<int> moved(std::move(promise));
      CHECK_FALSE(future.done());
      moved = Promise<int>();
      CHECK(future.done());
    }
    CHECK_THROWS_AS(future.get(std::chrono::seconds(1)), siding::BrokenPromise);

    run([]() -> Task<> {
      auto promise = std::make_unique<Promise<int>>();
      const Future<int> awaited = promise->future();
      CHECK(promise->start());
      EventLoop::current().call_soon([&promise] { promise.reset(); });
      CHECK_FALSE(awaited.done());
      bool broken = false;
      try {
        co_await awaited;
      } catch (const siding::BrokenPromise&) {
        broken = true;
      }
      CHECK(broken);
    });
  }

  TEST_CASE("one that is dropped when nobody has a future says nothing") {
    const siding_test::LogCapture log;
    { const Promise<int> unused; }
    {
      Promise<int> promise;
      promise.future();
    }
    CHECK(log.lines().empty());
  }

  TEST_CASE("set_cancelled() ends the future as cancelled, also after start()") {
    Promise<int> promise;
    CHECK(promise.start());
    promise.set_cancelled();
    CHECK(promise.future().cancelled());
    CHECK_THROWS_AS(promise.future().result(), siding::Cancelled);
  }

  TEST_CASE("values are made in place; references and nothing can be given too") {
    Promise<std::string> text;
    text.set_value(3, 'x');
    CHECK(text.future().result() == "xxx");

    int target = 1;
    Promise<int&> reference;
    reference.set_value(target);
    CHECK(&reference.future().result() == &target);

    Promise<void> nothing;
    nothing.set_value();
    CHECK_NOTHROW(nothing.future().result());

    Promise<std::unique_ptr<int>> pointer;
    pointer.set_value(new int(5));
    CHECK(*pointer.future().get() == 5);
    static_assert(!std::is_copy_constructible_v<Promise<int>>);
  }

  TEST_CASE("a value whose constructor throws leaves the promise pending") {
    struct Picky {
      explicit Picky(int value) {
        if (value < 0) throw std::invalid_argument("negative");
      }
    };
    Promise<Picky> promise;
    CHECK_THROWS_AS(promise.set_value(-1), std::invalid_argument);
    CHECK_FALSE(promise.future().done());
    CHECK(promise.future().cancel());
  }

  TEST_CASE("its value lives as long as a handle, and is destroyed once") {
    Counts counts;
    Future<Counted> future;
    {
      Promise<Counted> promise;
      future = promise.future();
      promise.set_value(counts, 3);
    }
    CHECK(future.result().value() == 3);
    CHECK(counts.made == 1);
    future = {};
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("an error that nobody looks at goes to the loop where the promise was made, once") {
    const siding_test::LogCapture log;
    EventLoop loop;
    const siding_test::Reports reports(loop);
    loop.run_until_complete([]() -> Task<> {
      {
        Promise<int> promise;
        promise.set_exception(out_of_range());
      }
      co_await turns(1);
    });
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].error == "std::out_of_range: far");

    { Promise<int>().set_exception(out_of_range()); }
    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find("far") != std::string::npos);
  }

  TEST_CASE("a task that is cancelled while it awaits a promise cancels it, if it has not begun") {
    run([]() -> Task<> {
      Promise<int> fresh;
      Promise<int> begun;
      CHECK(begun.start());
      const Future<std::string> first = create_task(outcome_of(fresh.future()));
      const Future<std::string> second = create_task(outcome_of(begun.future()));
      co_await turns(1);

      first.cancel();
      second.cancel();
      co_await siding::wait(first, second);

      CHECK(first.result() == "cancelled");
      CHECK(second.result() == "cancelled");
      CHECK_FALSE(fresh.start());
      CHECK_FALSE(begun.future().done());
      begun.set_value(1);
    });
  }
}

}  // namespace siding_test::promise_test
