// SPDX-License-Identifier: MIT
// wait(...).get(): on threads that run no loop.
#include <siding/wait.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/process_pool.hpp>
#include <siding/promise.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/limits.hpp"

namespace siding_test::wait_blocking_test {
namespace {

using namespace std::chrono_literals;
using siding::AnyFuture;
using siding::Future;
using siding::Promise;
using siding::ReturnWhen;
using siding::ThreadPool;
using siding::wait;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::pass_with;

using Futures = std::vector<Future<int>>;

int fail(int) { throw std::out_of_range("far"); }

/// A future that has failed, by a promise.
Future<int> failed() {
  Promise<int> promise;
  promise.set_exception(std::make_exception_ptr(std::out_of_range("far")));
  static_cast<void>(promise.future().exception());  // looked at: nothing to report
  return promise.future();
}

}  // namespace

TEST_SUITE("wait on a plain thread") {
  // FW-001
  TEST_CASE("all: gives every future that ended, in whatever way, and throws none of their errors") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    Promise<int> cancelled;
    cancelled.set_cancelled();
    Promise<int> finished;
    finished.set_value(1);
    const Futures all{cancelled.future(), failed(), finished.future(),
                      pool.submit(pass_with, gate.key(), 4), pool.submit(pass_with, gate.key(), 5)};

    gate.wait_for_arrivals(2);
    std::thread opener([&gate] { gate.open(); });
    const auto outcome = wait(all).get();
    opener.join();

    CHECK(outcome.done == all);
    CHECK(outcome.pending.empty());
    CHECK_THROWS_AS(outcome.done[1].result(), std::out_of_range);
    CHECK(outcome.done[4].result() == 5);
  }

  // FW-002
  TEST_CASE("first completed: returns after one, and leaves the other") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    const auto slow = pool.submit(pass_with, gate.key(), 1);
    const auto quick = pool.submit([](int n) { return n; }, 2);

    const auto outcome =
        wait(Futures{slow, quick}, {.return_when = ReturnWhen::first_completed}).get();

    CHECK(outcome.done == Futures{quick});
    CHECK(outcome.pending == Futures{slow});
    CHECK_FALSE(slow.done());
    gate.open();
  }

  // FW-003
  TEST_CASE("first exception: returns at the first that fails") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    const auto good = pool.submit([](int n) { return n; }, 1);
    good.get(hang_limit);
    const auto gated = pool.submit(pass_with, gate.key(), 3);
    const auto bad = pool.submit(fail, 2);

    const auto outcome =
        wait({.return_when = ReturnWhen::first_exception}, good, bad, gated).get();

    CHECK(outcome.done == Futures{good, bad});
    CHECK(outcome.pending == Futures{gated});
    gate.open();
  }

  // FW-003
  TEST_CASE("first exception: without one it waits for all, and a cancelled future is none") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    Promise<int> cancelled;
    cancelled.set_cancelled();
    const Futures all{cancelled.future(), pool.submit(pass_with, gate.key(), 1),
                      pool.submit(pass_with, gate.key(), 2)};

    std::thread opener([&gate] { gate.open(); });
    const auto outcome = wait(all, {.return_when = ReturnWhen::first_exception}).get();
    opener.join();

    CHECK(outcome.done == all);
  }

  // FW-004
  TEST_CASE("a timeout gives what there is; nothing is thrown or cancelled") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto gated = pool.submit(pass_with, gate.key(), 1);
    gate.wait_for_arrivals(1);
    const auto start = siding::Clock::now();

    const auto outcome = wait(Futures{gated, failed()}, {.timeout = 20ms}).get();

    CHECK(siding::Clock::now() - start >= 20ms);
    CHECK(outcome.done.size() == 1);
    CHECK(outcome.pending == Futures{gated});
    CHECK(gated.running());
    gate.open();
    CHECK(gated.get(hang_limit) == 1);
  }

  // FW-005
  TEST_CASE("a future that is given twice comes once") {
    const auto one = failed();

    const auto outcome = wait(Futures{one, one}).get();

    CHECK(outcome.done == Futures{one});
  }

  // FW-006
  TEST_CASE("futures of different executors, and of a loop, are waited for together") {
    ThreadPool threads{{.max_workers = 1}};
    siding::ProcessPool processes{{.max_workers = 1}};
    Promise<Future<std::string>> started;
    std::thread loop([&started] {
      siding::run([&started]() -> siding::Task<> {
        const auto task = siding::create_task([]() -> siding::Task<std::string> {
          co_await siding::sleep(1ms);
          co_return "task";
        });
        started.set_value(task);
        co_await task;
      });
    });
    const auto square = [](int n) { return n * n; };
    const auto task = started.future().get(hang_limit);

    const auto outcome = wait({.timeout = hang_limit}, threads.submit(square, 2),
                              processes.submit(square, 3), task)
                             .get();
    loop.join();

    CHECK(outcome.done.size() == 3);
    CHECK(outcome.done[2] == AnyFuture(task));
  }

  // FW-009
  TEST_CASE("a hundred futures that end at the same moment are all reported") {
    ThreadPool pool{{.max_workers = 20}};
    Gate gate;
    Futures all;
    for (int n = 0; n < 100; ++n)
      all.push_back(pool.submit(pass_with, gate.key(), n));
    gate.wait_for_arrivals(20);

    std::thread opener([&gate] { gate.open(); });
    const auto outcome = wait(all, {.timeout = hang_limit}).get();
    opener.join();

    CHECK(outcome.done == all);
  }

  TEST_CASE("a wait that gives up does not mind what ends later, or at that moment") {
    for (int round = 0; round < 200; ++round) {
      Promise<int> promise;
      const Futures one{promise.future()};
      std::thread giver([&promise] { promise.set_value(1); });
      const auto outcome = wait(one, {.timeout = std::chrono::microseconds(round)}).get();
      CHECK(outcome.done.size() + outcome.pending.size() == 1);
      giver.join();
    }
  }

  TEST_CASE("a loop's thread is not blocked: there it throws, unless there is nothing to wait for") {
    siding::run([]() -> siding::Task<> {
      Promise<int> pending;
      CHECK_THROWS_AS(wait(Futures{pending.future()}).get(), siding::WouldBlockLoop);
      CHECK(wait(Futures{failed()}).get().done.size() == 1);
      co_return;
    });
  }

  TEST_CASE("is used once") {
    auto once = wait(Futures{failed()});
    CHECK(std::move(once).get().done.size() == 1);
    CHECK_THROWS_AS(std::move(once).get(), siding::InvalidStateError);
  }
}

}  // namespace siding_test::wait_blocking_test
