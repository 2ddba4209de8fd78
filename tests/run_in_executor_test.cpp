// SPDX-License-Identifier: MIT
// Cancelling is in offload_cancel_test.cpp, beside that of offload.

#include <siding/run_in_executor.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/promise.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <atomic>
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
#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"

namespace siding_test::run_in_executor_test {
namespace {

using siding::create_task;
using siding::EventLoop;
using siding::Executor;
using siding::Future;
using siding::run;
using siding::run_in_executor;
using siding::Task;
using siding::ThreadPool;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::HeldExecutor;
using siding_test::turns;

int add(int a, int b) { return a + b; }

/// What runs in it returns only when it is being shut down.
class OpensGateAtItsEnd final : public Executor {
 public:
  explicit OpensGateAtItsEnd(Gate& gate) : gate_(gate) {}
  void enqueue(siding::Job job) override { pool_.enqueue(std::move(job)); }
  bool stop(const siding::ShutdownOptions& options) override {
    gate_.open();
    return pool_.shutdown(options);
  }

 private:
  Gate& gate_;
  ThreadPool pool_;
};

std::string shout(std::string text) { return text + "!"; }

}  // namespace

TEST_SUITE("run_in_executor") {
  // RX-001
  TEST_CASE("nullptr is the loop's default pool") {
    const auto here = std::this_thread::get_id();
    run([&]() -> Task<> {
      const std::string text = co_await run_in_executor(nullptr, shout, "yo");
      CHECK(text == "yo!");
      const auto there = co_await run_in_executor(nullptr, std::this_thread::get_id);
      CHECK(there != here);
      REQUIRE(EventLoop::current().default_executor() != nullptr);
      const std::string worker =
          co_await run_in_executor(EventLoop::current().default_executor(),
                                   [] { return std::string(ThreadPool::current_worker_name()); });
      CHECK_FALSE(worker.empty());
    });
  }

  // RX-002
  TEST_CASE("the coroutine goes on on its loop's thread, whatever the executor") {
    ThreadPool pool;
    siding_test::OneThread own;
    siding_test::InlineExecutor in_place;
    std::vector<Executor*> executors{&pool, &own, &in_place};
    run([&]() -> Task<> {
      const auto here = std::this_thread::get_id();
      for (Executor* executor : executors) {
        const int sum = co_await run_in_executor(executor, add, 1, 2);
        CHECK(sum == 3);
        CHECK(std::this_thread::get_id() == here);
      }
    });
  }

  TEST_CASE("request_stop() asks a function that takes a stop token, and cancels nothing") {
    Gate running;
    ThreadPool pool;
    run([&]() -> Task<> {
      const auto stoppable = [key = running.key()](std::stop_token token) {
        arrive(key);
        while (!token.stop_requested())
          std::this_thread::yield();
        return 5;
      };
      const Future<int> call = run_in_executor(pool, stoppable);
      running.wait_for_arrivals(1);

      CHECK(call.request_stop());
      const int value = co_await call;

      CHECK(value == 5);
      CHECK_FALSE(call.cancelled());
      CHECK_FALSE(call.request_stop());
    });
  }

  // RX-006
  TEST_CASE("the work starts at the call, not at the co_await") {
    Gate gate;
    ThreadPool pool({.max_workers = 3});
    run([&]() -> Task<> {
      std::vector<Future<int>> calls;
      for (int i = 0; i < 3; ++i) {
        calls.push_back(run_in_executor(pool, siding_test::pass_with, gate.key(), i));
      }
      gate.wait_for_arrivals(3);  // without a suspension in between

      gate.open();
      co_await siding::wait(calls);
      for (int i = 0; i < 3; ++i)
        CHECK(calls[static_cast<std::size_t>(i)].result() == i);
    });
  }

  TEST_CASE("what the function throws is rethrown at every co_await of the future") {
    run([]() -> Task<> {
      const Future<int> failed =
          run_in_executor(nullptr, []() -> int { throw std::out_of_range("test"); });
      int caught = 0;
      for (int i = 0; i < 2; ++i) {
        try {
          co_await failed;
        } catch (const std::out_of_range&) {
          ++caught;
        }
      }
      CHECK(caught == 2);
    });
  }

  TEST_CASE("a future that is dropped loses nothing: the call is made, its error is reported") {
    std::atomic<int> calls{0};
    EventLoop loop;
    const siding_test::Reports reports(loop);
    ThreadPool pool;
    loop.run_until_complete([&]() -> Task<> {
      run_in_executor(pool, [&calls] { ++calls; });
      run_in_executor(pool, {.name = "failing"}, [&calls] {
        ++calls;
        throw std::runtime_error("nobody looked");
      });
      pool.shutdown();
      co_await turns(2);
    });
    CHECK(calls == 2);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].error == "std::runtime_error: nobody looked");
    CHECK(reports[0].source == "failing");
  }

  TEST_CASE(
      "arguments are destroyed when the function has returned, results with the last handle") {
    Counts arguments;
    Counts results;
    ThreadPool pool;
    run([&]() -> Task<> {
      {
        auto future = run_in_executor(
            pool,
            [&results](const Counted& argument) { return Counted(results, argument.value()); },
            Counted(arguments, 5));
        const Counted& result = co_await future;
        CHECK(result.value() == 5);
        CHECK(arguments.alive() == 0);
        CHECK(results.alive() == 1);
      }
      CHECK(results.alive() == 0);
      CHECK(results.made == 1);
      CHECK(arguments.copied == 0);
    });
  }

  // RX-013
  TEST_CASE("outside a running loop it throws NoRunningLoop and submits nothing") {
    HeldExecutor executor;
    std::atomic<int> calls{0};
    const auto count = [&calls] { ++calls; };
    CHECK_THROWS_AS(run_in_executor(executor, count), siding::NoRunningLoop);

    EventLoop loop;
    loop.run_until_complete(turns(1));
    loop.close();

    CHECK_THROWS_AS(run_in_executor(executor, count), siding::NoRunningLoop);
    CHECK_THROWS_AS(run_in_executor(nullptr, count), siding::NoRunningLoop);
    CHECK(executor.held() == 0);
    CHECK(calls == 0);
  }

  // RX-014
  TEST_CASE("after the default executor was shut down, only explicit executors work") {
    ThreadPool pool;
    Counts arguments;
    run([&]() -> Task<> {
      const int before = co_await run_in_executor(nullptr, add, 1, 2);
      CHECK(before == 3);
      co_await EventLoop::current().shutdown_default_executor();

      const auto refused = [](const Counted&) {};
      CHECK_THROWS_AS(run_in_executor(nullptr, refused, Counted(arguments)), siding::ShutdownError);

      const int sum = co_await run_in_executor(pool, add, 1, 2);
      CHECK(sum == 3);
    });
    CHECK(arguments.alive() == 0);
  }

  TEST_CASE("what the executor refuses with is thrown at the call, and reported nowhere else") {
    const siding_test::LogCapture log;
    ThreadPool pool;
    pool.shutdown();
    Counts arguments;
    EventLoop loop;
    const siding_test::Reports reports(loop);
    loop.run_until_complete([&]() -> Task<> {
      const auto refused = [](const Counted&) {};
      CHECK_THROWS_AS(run_in_executor(pool, refused, Counted(arguments)), siding::ShutdownError);
      co_await turns(1);
    });
    CHECK(arguments.alive() == 0);
    CHECK(reports.size() == 0);
    CHECK(log.lines().empty());
  }

  // RX-015
  TEST_CASE("a future of submit() can be awaited, on any loop") {
    ThreadPool pool;
    Gate gate;
    const Future<int> submitted = pool.submit(siding_test::pass_with, gate.key(), 42);
    const Future<int> finished = pool.submit(add, 1, 2);
    CHECK(finished.get() == 3);

    run([&]() -> Task<> {
      const auto here = std::this_thread::get_id();
      const int at_once = co_await finished;
      CHECK(at_once == 3);
      gate.wait_for_arrivals(1);
      gate.open();
      const int value = co_await submitted;
      CHECK(value == 42);
      CHECK(std::this_thread::get_id() == here);
    });
  }

  TEST_CASE("a function on a worker can have something done on the loop and wait for it") {
    run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const auto here = std::this_thread::get_id();
      const auto ask = [&loop](bool fail) {
        siding::Promise<std::thread::id> promise;
        const Future<std::thread::id> answer = promise.future();
        auto shared = std::make_shared<siding::Promise<std::thread::id>>(std::move(promise));
        loop.call_soon_threadsafe([shared, fail] {
          if (fail) {
            shared->set_exception(std::make_exception_ptr(std::out_of_range("no")));
          } else {
            shared->set_value(std::this_thread::get_id());
          }
        });
        return answer.get();
      };

      const auto there = co_await siding::to_thread(ask, false);
      CHECK(there == here);
      bool failed = false;
      try {
        co_await siding::to_thread(ask, true);
      } catch (const std::out_of_range&) {
        failed = true;
      }
      CHECK(failed);
    });
  }

  // RX-022
  TEST_CASE("two loops on two threads may share one executor") {
    ThreadPool pool({.max_workers = 4});
    std::atomic<int> right{0};
    std::atomic<int> strayed{0};
    const auto loop_of_calls = [&](int first) {
      run([&]() -> Task<> {
        const auto here = std::this_thread::get_id();
        for (int i = 0; i < 1000; ++i) {
          int sum = 0;
          if (i % 2 == 0) {
            sum = co_await run_in_executor(pool, add, first, i);
          } else {
            sum = co_await siding::offload(pool, add, first, i);
          }
          if (sum == first + i) ++right;
          if (std::this_thread::get_id() != here) ++strayed;
        }
      });
    };

    std::thread other(loop_of_calls, 1'000'000);
    loop_of_calls(0);
    other.join();

    CHECK(right == 2000);
    CHECK(strayed == 0);
  }

  // RX-023
  TEST_CASE("a replacement default executor is used, and is shut down with the loop") {
    auto replacement =
        std::make_shared<ThreadPool>(siding::ThreadPoolOptions{.thread_name_prefix = "mine"});
    run([&]() -> Task<> {
      EventLoop::current().set_default_executor(replacement);
      const auto worker = [] { return std::string(ThreadPool::current_worker_name()); };
      const std::string hot = co_await run_in_executor(nullptr, worker);
      CHECK(hot.starts_with("mine_"));
      const std::string lazy = co_await siding::to_thread(worker);
      CHECK(lazy.starts_with("mine_"));
    });
    CHECK_THROWS_AS(replacement->submit(add, 1, 2), siding::ShutdownError);
  }

  // RX-024
  TEST_CASE("run() waits for the calls of the default executor that nobody awaits") {
    Gate gate;
    std::atomic<bool> returned{false};
    run([&]() -> Task<> {
      EventLoop::current().set_default_executor(std::make_shared<OpensGateAtItsEnd>(gate));
      run_in_executor(
          nullptr,
          [&returned](siding_test::GateKey key) {
            pass(key);
            returned = true;
          },
          gate.key());
      gate.wait_for_arrivals(1);
      co_return;
    });
    CHECK(returned);
  }
}

}  // namespace siding_test::run_in_executor_test
