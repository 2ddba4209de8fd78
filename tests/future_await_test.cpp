// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/limits.hpp"

namespace siding_test::future_await_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::pass;
using siding_test::pass_with;

Task<int> value_of(Future<int> future) {
  const int value = co_await future;
  co_return value;
}

Task<int&> refer_to(int& number) { co_return number; }

// What an await of the future throws: "none", "Cancelled: reason" or the text of the error.
Task<std::string> error_of(Future<int> future) {
  try {
    co_await future;
  } catch (const siding::Cancelled& cancelled) {
    co_return "Cancelled: " + cancelled.reason();
  } catch (const std::exception& error) {
    co_return error.what();
  }
  co_return "none";
}

}  // namespace

TEST_SUITE("Future") {
  // RX-015
  TEST_CASE("a call that was submitted off the loop can be awaited on it") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 6);
    gate.wait_for_arrivals(1);

    siding::run([&]() -> Task<> {
      const auto waiting = siding::create_task(value_of(call));
      co_await siding::yield();
      gate.open();
      const int value = co_await waiting;
      CHECK(value == 6);
    });
  }

  TEST_CASE("tasks of two loops and plain threads may wait for the same future") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 6);
    gate.wait_for_arrivals(1);
    std::atomic<int> sum{0};
    std::atomic<int> waiting{0};
    std::vector<std::thread> threads;

    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        siding::run([&]() -> Task<> {
          const auto a = siding::create_task(value_of(call));
          const auto b = siding::create_task(value_of(call));
          co_await siding::yield();
          ++waiting;
          waiting.notify_one();
          const int first = co_await a;
          const int second = co_await b;
          sum += first + second;
        });
      });
      threads.emplace_back([&] { sum += call.get(hang_limit); });
    }
    while (waiting.load() < 2)
      waiting.wait(waiting.load());
    gate.open();
    for (std::thread& thread : threads)
      thread.join();

    CHECK(sum == 36);
  }

  TEST_CASE("an await of an lvalue leaves the value where it is") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    const auto call = pool.submit([&] { return Counted(counts, 3); });

    siding::run([&]() -> Task<> {
      const Counted& first = co_await call;
      const Counted& second = co_await call;
      CHECK(&first == &second);
      CHECK(first.value() == 3);
      CHECK(&first == &call.result());
    });

    CHECK(counts.copied == 0);
  }

  TEST_CASE("an await of the only handle as an rvalue takes the value without a copy") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;

    siding::run([&]() -> Task<> {
      auto call = siding::run_in_executor(pool, [&, key = gate.key()] {
        pass(key);
        return Counted(counts, 3);
      });
      siding::create_task([&]() -> Task<> {
        gate.open();
        co_return;
      });
      Future<Counted> plain = std::move(call);
      const Counted value = co_await std::move(plain);
      CHECK(value.value() == 3);
    });

    CHECK(counts.copied == 0);
  }

  TEST_CASE("a move-only value can be awaited once as an rvalue") {
    ThreadPool pool{{.max_workers = 1}};
    auto call = pool.submit([] { return std::make_unique<int>(3); });

    siding::run([&]() -> Task<> {
      const std::unique_ptr<int> value = co_await std::move(call);
      CHECK(*value == 3);
    });

    CHECK_THROWS_AS(call.result(), siding::InvalidStateError);
  }

  TEST_CASE("a future of a reference gives the object itself") {
    int number = 1;

    siding::run([&]() -> Task<> {
      const Future<int&> future = siding::create_task(refer_to(number));
      int& result = co_await future;
      CHECK(&result == &number);
      CHECK(&future.result() == &number);
    });
  }

  TEST_CASE("what a call throws is thrown at each await") {
    ThreadPool pool{{.max_workers = 1}};
    const auto call = pool.submit([]() -> int { throw std::runtime_error("boom"); });

    siding::run([&]() -> Task<> {
      const auto first = co_await error_of(call);
      const auto second = co_await error_of(call);
      CHECK(first == "boom");
      CHECK(second == "boom");
    });
  }

  TEST_CASE("an await of a future that another cancels throws Cancelled with the reason") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    const auto call = pool.submit(pass_with, gate.key(), 1);

    siding::run([&]() -> Task<> {
      const auto waiting = siding::create_task(error_of(call));
      co_await siding::yield();
      call.cancel({.reason = "not needed"});
      const auto error = co_await waiting;
      CHECK(error == "Cancelled: not needed");
    });
  }

  TEST_CASE("cancelling a task cancels the queued call that it awaits") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    const auto call = pool.submit(pass_with, gate.key(), 1);

    siding::run([&]() -> Task<> {
      const auto waiting = siding::create_task(error_of(call));
      co_await siding::yield();
      CHECK(waiting.cancel({.reason = "enough"}));
      const auto error = co_await waiting;
      CHECK(error == "Cancelled: enough");
    });

    CHECK(call.cancelled());
  }

  TEST_CASE("cancelling a task that awaits a running call of submit() ends only the await") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 1);
    gate.wait_for_arrivals(1);

    siding::run([&]() -> Task<> {
      const auto waiting = siding::create_task(error_of(call));
      co_await siding::yield();
      CHECK(waiting.cancel({.reason = "enough"}));
      const auto error = co_await waiting;
      CHECK(error == "Cancelled: enough");
      CHECK(call.running());
    });
    gate.open();

    CHECK(call.get(hang_limit) == 1);
  }

  TEST_CASE("get() on the thread of a running loop throws, unless the future is done") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 4);

    siding::run([&]() -> Task<> {
      CHECK_THROWS_AS(call.get(), siding::WouldBlockLoop);
      CHECK_THROWS_AS(call.get(1ms), siding::WouldBlockLoop);
      gate.open();
      co_await call;
      CHECK(call.get() == 4);
    });
  }

  TEST_CASE("a step of map() on the thread of a running loop throws, unless its call is done") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;

    siding::run([&]() -> Task<> {
      auto results = pool.map(pass_with, std::vector{gate.key()}, std::vector{4});
      auto step = results.begin();
      CHECK_THROWS_AS(*step, siding::WouldBlockLoop);
      gate.open();
      const Future<> next = pool.submit([] {});  // of the same worker
      co_await next;
      CHECK(*step == 4);
    });
  }
}

}  // namespace siding_test::future_await_test
