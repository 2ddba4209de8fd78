// SPDX-License-Identifier: MIT
// offload and to_thread: how a call is made, what comes back, and when. Cancelling is in
// offload_cancel_test.cpp, what it does to
// the loop in offload_loop_test.cpp.

#include <siding/offload.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/take.hpp>
#include <siding/testing/virtual_clock.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/executors.hpp"
#include "support/gate.hpp"
#include "support/held_executor.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/sleep_watch.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::offload_test {
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
using siding_test::HeldExecutor;
using siding_test::slowness;
using siding_test::turns;

using Clock = std::chrono::steady_clock;

int add(int a, int b) { return a + b; }

std::string shout(std::string text) { return text + "!"; }

struct Database {
  int rows = 3;
  int query(const std::string& text) { return rows + static_cast<int>(text.size()); }
  bool watch(std::stop_token token, int) { return token.stop_possible(); }
};

/// Drops every job it takes.
struct Careless final : siding::Executor {
  void enqueue(siding::Job) override {}
  bool stop(const siding::ShutdownOptions&) override { return true; }
};

}  // namespace

TEST_SUITE("offload: the call") {
  // RX-001
  TEST_CASE("to_thread runs the function on a thread of the loop's default pool") {
    const auto here = std::this_thread::get_id();
    struct Seen {
      std::string text;
      std::thread::id thread;
      bool in_pool;
    };

    const Seen seen = run([&]() -> Task<Seen> {
      co_return co_await to_thread(
          [](const char* text) {
            return Seen{shout(text), std::this_thread::get_id(),
                        !ThreadPool::current_worker_name().empty()};
          },
          "yo");
    });

    CHECK(seen.text == "yo!");
    CHECK(seen.thread != here);
    CHECK(seen.in_pool);
  }

  // RX-002
  TEST_CASE("the coroutine goes on on its loop's thread, whatever the executor") {
    ThreadPool pool;
    siding_test::OneThread own;
    siding_test::InlineExecutor in_place;
    run([&]() -> Task<> {
      const auto here = std::this_thread::get_id();
      for (siding::Executor* executor :
           {static_cast<siding::Executor*>(&pool), static_cast<siding::Executor*>(&own),
            static_cast<siding::Executor*>(&in_place)}) {
        const auto there = co_await offload(executor, std::this_thread::get_id);
        CHECK((there == here) == (executor == &in_place));
        CHECK(std::this_thread::get_id() == here);
      }
    });
  }

  TEST_CASE("nothing is submitted before it is awaited") {
    HeldExecutor executor;
    run([&]() -> Task<> {
      auto call = offload(executor, add, 1, 2);
      co_await turns(2);
      CHECK(executor.held() == 0);

      const Future<int> caller = create_task(std::move(call));
      co_await turns(1);
      CHECK(executor.held() == 1);

      executor.take().run();
      const int sum = co_await caller;
      CHECK(sum == 3);
    });
  }

  TEST_CASE("a call is made once: a second await throws InvalidStateError") {
    ThreadPool pool;
    run([&]() -> Task<> {
      auto call = offload(pool, add, 1, 2);
      const int sum = co_await call;
      CHECK(sum == 3);
      bool thrown = false;
      try {
        co_await call;
      } catch (const siding::InvalidStateError&) {
        thrown = true;
      }
      CHECK(thrown);
    });
  }

  // RX-004
  TEST_CASE("what the function throws is rethrown at the co_await") {
    std::string text;
    run([&]() -> Task<> {
      try {
        co_await to_thread([] { throw std::runtime_error("test"); });
      } catch (const std::runtime_error& error) {
        text = error.what();
      }
    });
    CHECK(text == "test");
  }

  // RX-005
  TEST_CASE("arguments and results may be move-only") {
    run([]() -> Task<> {
      const std::unique_ptr<int> answer = co_await to_thread(
          [](std::unique_ptr<int> p, int k) {
            *p += k;
            return p;
          },
          std::make_unique<int>(40), 2);
      CHECK(*answer == 42);
    });
  }

  TEST_CASE("any callable will do, and may return nothing") {
    run([]() -> Task<> {
      Database database;
      const int rows = co_await to_thread(&Database::query, &database, "1234");
      CHECK(rows == 7);
      const int member = co_await to_thread(&Database::rows, std::ref(database));
      CHECK(member == 3);
      const int sum = co_await to_thread(add, 40, 2);
      CHECK(sum == 42);

      bool called = false;
      co_await to_thread([&called] { called = true; });
      CHECK(called);

      // A closure that owns something: named first, then taken.
      auto owner = [text = std::string(40, 'x')]() mutable { return std::move(text); };
      const std::string text = co_await to_thread(siding::take(owner));
      CHECK(text.size() == 40);
    });
  }

  TEST_CASE("a function that takes a stop token gets one, a method after its object") {
    run([]() -> Task<> {
      const bool plain =
          co_await to_thread([](std::stop_token token, int) { return token.stop_possible(); }, 1);
      CHECK(plain);
      Database database;
      const bool method = co_await to_thread(&Database::watch, &database, 1);
      CHECK(method);
    });
  }

  TEST_CASE("arguments are copied when the call is written; std::ref passes a reference") {
    HeldExecutor executor;
    run([&]() -> Task<> {
      int copied = 1;
      int referred = 1;
      auto call = offload(executor, add, copied, std::ref(referred));
      copied = referred = 100;
      const Future<int> caller = create_task(std::move(call));
      co_await turns(1);
      executor.take().run();
      const int sum = co_await caller;
      CHECK(sum == 101);
    });
  }

  TEST_CASE("a reference that is returned becomes a value of its own") {
    run([]() -> Task<> {
      static const std::string text = "kept elsewhere";
      auto copy = co_await to_thread([]() -> const std::string& { return text; });
      static_assert(std::is_same_v<decltype(copy), std::string>);
      CHECK(copy == "kept elsewhere");
    });
  }

  TEST_CASE("arguments and results are destroyed exactly once, with the awaiting frame") {
    Counts arguments;
    Counts results;
    run([&]() -> Task<> {
      auto call =
          to_thread([&results](Counted argument) { return Counted(results, argument.value() + 1); },
                    Counted(arguments, 1));
      const Counted result = co_await call;
      CHECK(result.value() == 2);
      CHECK(results.alive() >= 1);
    });
    CHECK(arguments.alive() == 0);
    CHECK(arguments.copied == 0);
    CHECK(results.alive() == 0);
    CHECK(results.copied == 0);
  }

  TEST_CASE("the executor sees the name of the call") {
    HeldExecutor executor;
    run([&]() -> Task<> {
      const Future<int> caller = create_task([&]() -> Task<int> {
        co_return co_await offload(executor, {.name = std::string("a temporary")}, add, 1, 2);
      });
      co_await turns(1);
      siding::Job job = executor.take();
      CHECK(job.name() == "a temporary");
      job.run();
      co_await caller;
    });
  }
}

TEST_SUITE("offload: an executor that does not run the call") {
  TEST_CASE("one that was shut down: ShutdownError, and the function is not called") {
    ThreadPool pool;
    pool.shutdown();
    Counts arguments;
    std::atomic<int> calls{0};
    for (const siding::OnCancel on_cancel : {siding::OnCancel::wait, siding::OnCancel::abandon}) {
      CHECK_THROWS_AS(run([&]() -> Task<> {
                        auto call = offload(
                            pool, {.on_cancel = on_cancel}, [&calls](const Counted&) { ++calls; },
                            Counted(arguments));
                        co_await call;
                      }),
                      siding::ShutdownError);
    }
    CHECK(calls == 0);
    CHECK(arguments.alive() == 0);
  }

  // FU-013
  TEST_CASE("one that drops the job, now or later: BrokenPromise") {
    Careless careless;
    CHECK_THROWS_AS(run([&]() -> Task<> { co_await offload(careless, add, 1, 2); }),
                    siding::BrokenPromise);

    HeldExecutor later;
    CHECK_THROWS_AS(run([&]() -> Task<> {
                      const Future<int> caller = create_task(offload(later, add, 1, 2));
                      co_await turns(1);
                      { const siding::Job dropped = later.take(); }
                      co_await caller;
                    }),
                    siding::BrokenPromise);
  }

  TEST_CASE("one that fails or cancels the job: that error, or Cancelled") {
    HeldExecutor executor;
    run([&]() -> Task<> {
      const Future<int> failed = create_task(offload(executor, add, 1, 2));
      const Future<int> cancelled = create_task(offload(executor, add, 1, 2));
      co_await turns(1);
      executor.take().fail(std::make_exception_ptr(std::out_of_range("no room")));
      executor.take().cancel();
      co_await siding::wait(failed, cancelled);
      CHECK_THROWS_AS(failed.result(), std::out_of_range);
      CHECK(cancelled.cancelled());
    });
  }

  // RX-014
  TEST_CASE("the default one after its shutdown: ShutdownError; others still work") {
    ThreadPool pool;
    run([&]() -> Task<> {
      co_await to_thread(add, 1, 2);
      const bool ended = co_await EventLoop::current().shutdown_default_executor();
      CHECK(ended);
      bool refused = false;
      try {
        co_await to_thread(add, 1, 2);
      } catch (const siding::ShutdownError&) {
        refused = true;
      }
      CHECK(refused);
      const int sum = co_await offload(pool, add, 1, 2);
      CHECK(sum == 3);
    });
  }
}

}  // namespace siding_test::offload_test
