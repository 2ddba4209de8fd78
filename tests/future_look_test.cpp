// SPDX-License-Identifier: MIT
// Looking at a future without taking its value: to_string and snapshot.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/reports.hpp"

namespace siding_test::future_look_test {
namespace {

using siding::AnyFuture;
using siding::Future;
using siding::FutureSnapshot;
using siding::FutureStatus;
using siding::Promise;
using siding_test::Gate;
using siding_test::pass_with;

bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("looking at a Future") {
  // FU-015
  TEST_CASE("to_string tells its name and status, and of a finished one what type came of it") {
    siding::ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto running = pool.submit({.name = "first"}, pass_with, gate.key(), 1);
    const auto queued = pool.submit(pass_with, gate.key(), 1);
    const auto cancelled = pool.submit(pass_with, gate.key(), 1);
    Promise<int> failed;
    failed.set_exception(std::make_exception_ptr(std::out_of_range("far")));
    gate.wait_for_arrivals(1);
    cancelled.cancel();

    CHECK(to_string(running) == "<future first running>");
    CHECK(holds(to_string(queued), "pending"));
    CHECK(holds(to_string(cancelled), "cancelled"));
    CHECK(holds(to_string(failed.future()), "finished"));
    CHECK(holds(to_string(failed.future()), "std::out_of_range"));
    CHECK(to_string(AnyFuture()) == "<future empty>");
    CHECK(failed.future().exception() != nullptr);

    gate.open();
    running.get(siding_test::hang_limit);
    std::ostringstream out;
    out << running;
    CHECK(out.str() == "<future first finished: int>");
  }

  TEST_CASE("printing an error is not looking at it: it is reported all the same") {
    siding::run([]() -> siding::Task<> {
      const siding_test::Reports reports(siding::EventLoop::current());
      {
        Promise<int> failed;
        failed.set_exception(std::make_exception_ptr(std::out_of_range("far")));
        CHECK(holds(to_string(failed.future()), "std::out_of_range"));
      }
      CHECK(reports.size() == 1);
      siding::EventLoop::current().set_exception_handler({});
      co_return;
    });
  }

  TEST_CASE("a snapshot of each status") {
    siding::ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto running = pool.submit(pass_with, gate.key(), 1);
    const auto queued = pool.submit(pass_with, gate.key(), 1);
    const auto cancelled = pool.submit(pass_with, gate.key(), 1);
    const auto failing = pool.submit([](int) -> int { throw std::out_of_range("far"); }, 1);
    gate.wait_for_arrivals(1);
    cancelled.cancel();

    CHECK(running.snapshot().status == FutureStatus::running);
    CHECK(queued.snapshot().status == FutureStatus::pending);
    CHECK_FALSE(queued.snapshot().done());
    CHECK(cancelled.snapshot().status == FutureStatus::cancelled);
    CHECK(cancelled.snapshot().error != nullptr);
    CHECK(AnyFuture().snapshot().status == FutureStatus::pending);
    gate.open();
    pool.shutdown();
    CHECK(running.snapshot().status == FutureStatus::value);
    CHECK(running.snapshot().error == nullptr);
    CHECK(failing.snapshot().status == FutureStatus::error);
    CHECK_THROWS_AS(std::rethrow_exception(failing.snapshot().error), std::out_of_range);
  }

  // FU-016
  TEST_CASE("a snapshot never mixes statuses while the future completes") {
    for (int round = 0; round < 100; ++round) {
      Promise<int> promise;
      const Future<int> future = promise.future();
      std::atomic<int> wrong{0};
      std::atomic<int> ready{0};
      std::vector<std::thread> lookers;
      for (int i = 0; i < 4; ++i) {
        lookers.emplace_back([&, future] {
          ++ready;
          FutureSnapshot look;
          do {
            look = future.snapshot();
            if ((look.error != nullptr) != (look.status == FutureStatus::error)) ++wrong;
            if (look.status == FutureStatus::value || look.status == FutureStatus::cancelled) ++wrong;
          } while (!look.done());
        });
      }
      while (ready < 4) std::this_thread::yield();
      if (promise.start()) {
        promise.set_exception(std::make_exception_ptr(std::out_of_range("far")));
      }
      for (std::thread& looker : lookers) looker.join();
      CHECK(wrong == 0);
    }
  }
}

}  // namespace siding_test::future_look_test
