// SPDX-License-Identifier: MIT
#include <siding/limiter.hpp>

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/executors.hpp"
#include "support/gate.hpp"
#include "support/held_executor.hpp"

namespace siding_test::limiter_test {
namespace {

using namespace std::chrono_literals;
using siding::create_task;
using siding::EventLoop;
using siding::Future;
using siding::Limiter;
using siding::OnCancel;
using siding::run;
using siding::Task;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::GateKey;
using siding_test::pass_with;

Task<int> limited(siding::Executor& pool, Limiter& limiter, GateKey gate, int value,
                  OnCancel on_cancel = OnCancel::wait) {
  const int result = co_await siding::offload(
      pool, {.on_cancel = on_cancel, .limiter = &limiter}, pass_with, gate, value);
  co_return result;
}

Task<bool> ends_cancelled(Future<int> future) {
  try {
    co_await future;
  } catch (const siding::Cancelled&) {
    co_return true;
  }
  co_return false;
}

/// Lets tasks run until a number is as expected.
template <class Number>
Task<> until(Number number, std::size_t expected) {
  while (number() != expected) co_await siding::sleep(1ms);
}

}  // namespace

TEST_SUITE("Limiter") {
  // RX-018
  TEST_CASE("caps calls independently of the size of the pool, and lets the next in as one ends") {
    ThreadPool pool{{.max_workers = 8}};
    Limiter limiter(3);
    Gate gate;
    run([&]() -> Task<> {
      std::vector<Future<int>> calls;
      for (int n = 0; n < 4; ++n) {
        calls.push_back(create_task(limited(pool, limiter, gate.key(), n)));
      }
      co_await siding::yield();
      gate.wait_for_arrivals(3);
      CHECK(limiter.total() == 3);
      CHECK(limiter.borrowed() == 3);
      CHECK(limiter.waiting() == 1);
      CHECK(gate.arrivals() == 3);

      gate.open();
      int sum = 0;
      for (auto& call : calls) sum += co_await call;

      CHECK(sum == 6);
      CHECK(gate.arrivals() == 4);
      CHECK(limiter.borrowed() == 0);
    });
  }

  // RX-018
  TEST_CASE("works with to_thread, to_process and an executor that runs calls inline") {
    run([]() -> Task<> {
      Limiter limiter(1);
      siding_test::InlineExecutor here;
      const auto square = [](int n) { return n * n; };
      const int thread = co_await siding::to_thread({.limiter = &limiter}, square, 2);
      const int process = co_await siding::to_process({.limiter = &limiter}, square, 3);
      const int in_line = co_await siding::offload(here, {.limiter = &limiter}, square, 4);
      CHECK(thread == 4);
      CHECK(process == 9);
      CHECK(in_line == 16);
      CHECK(limiter.borrowed() == 0);
    });
  }

  TEST_CASE("who came first is let in first") {
    siding_test::HeldExecutor executor;
    Limiter limiter(1);
    std::vector<int> order;
    run([&]() -> Task<> {
      std::vector<Future<void>> calls;
      for (int n = 0; n < 4; ++n) {
        calls.push_back(create_task([&, n]() -> Task<> {
          co_await siding::offload(executor, {.limiter = &limiter},
                                   [&order, n] { order.push_back(n); });
        }));
      }
      for (auto& call : calls) {
        while (executor.held() == 0) co_await siding::yield();
        CHECK(executor.held() == 1);
        executor.take().run();
        co_await call;
      }
    });

    CHECK(order == std::vector{0, 1, 2, 3});
  }

  TEST_CASE("a call that is cancelled while it waits for room is never made, and takes none") {
    siding_test::HeldExecutor executor;
    Limiter limiter(1);
    Gate gate;
    gate.open();
    for (const OnCancel mode : {OnCancel::wait, OnCancel::abandon}) {
      run([&]() -> Task<> {
        const auto first = create_task(limited(executor, limiter, gate.key(), 1, mode));
        const auto second = create_task(limited(executor, limiter, gate.key(), 2, mode));
        co_await siding::yield();
        CHECK(limiter.waiting() == 1);

        second.cancel();
        const bool cancelled = co_await ends_cancelled(second);
        CHECK(cancelled);
        CHECK(limiter.waiting() == 0);
        CHECK(executor.held() == 1);
        executor.take().run();
        const int value = co_await first;
        CHECK(value == 1);
        CHECK(limiter.borrowed() == 0);
      });
    }
  }

  TEST_CASE("a call that is cancelled as it is let in hands its room on") {
    siding_test::HeldExecutor executor;
    Limiter limiter(1);
    Gate gate;
    gate.open();
    run([&]() -> Task<> {
      const auto first = create_task(limited(executor, limiter, gate.key(), 1));
      const auto second = create_task(limited(executor, limiter, gate.key(), 2));
      const auto third = create_task(limited(executor, limiter, gate.key(), 3));
      co_await siding::yield();

      executor.take().run();  // lets the second in, which has not come to know it
      CHECK(limiter.waiting() == 1);
      second.cancel();
      const bool cancelled = co_await ends_cancelled(second);
      CHECK(cancelled);
      while (executor.held() == 0) co_await siding::yield();
      executor.take().run();
      const int value = co_await third;
      CHECK(value == 3);
      co_await first;
    });
    CHECK(limiter.borrowed() == 0);
  }

  TEST_CASE("an abandoned call counts until its function has returned") {
    ThreadPool pool{{.max_workers = 2}};
    std::optional<Limiter> limiter(std::in_place, 1);
    Gate gate;
    run([&]() -> Task<> {
      const auto call =
          create_task(limited(pool, *limiter, gate.key(), 1, OnCancel::abandon));
      co_await siding::yield();
      gate.wait_for_arrivals(1);
      call.cancel();
      const bool cancelled = co_await ends_cancelled(call);
      CHECK(cancelled);
      CHECK(limiter->borrowed() == 1);

      gate.open();
      co_await until([&] { return limiter->borrowed(); }, 0);
    });
  }

  TEST_CASE("an abandoned call may outlive its limiter") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    run([&]() -> Task<> {
      Limiter limiter(1);
      const auto call = create_task(limited(pool, limiter, gate.key(), 1, OnCancel::abandon));
      co_await siding::yield();
      gate.wait_for_arrivals(1);
      call.cancel();
      const bool cancelled = co_await ends_cancelled(call);
      CHECK(cancelled);
    });
    gate.open();
  }

  TEST_CASE("raising the total lets in those that wait; lowering it leaves those that run") {
    siding_test::HeldExecutor executor;
    Limiter limiter(1);
    Gate gate;
    gate.open();
    run([&]() -> Task<> {
      std::vector<Future<int>> calls;
      for (int n = 0; n < 4; ++n) {
        calls.push_back(create_task(limited(executor, limiter, gate.key(), n)));
      }
      co_await siding::yield();
      CHECK(limiter.waiting() == 3);

      limiter.set_total(3);
      CHECK(limiter.borrowed() == 3);
      CHECK(limiter.waiting() == 1);
      co_await siding::yield();
      CHECK(executor.held() == 3);
      limiter.set_total(1);
      executor.take().run();
      executor.take().run();
      CHECK(limiter.waiting() == 1);
      executor.take().run();
      CHECK(limiter.waiting() == 0);
      while (executor.held() == 0) co_await siding::yield();
      executor.take().run();
      for (auto& call : calls) co_await call;
    });
    CHECK_THROWS_AS(limiter.set_total(0), std::invalid_argument);
    CHECK_THROWS_AS(Limiter(0), std::invalid_argument);
  }

  TEST_CASE("what the executor refuses with gives the room back, at once or after a wait") {
    siding_test::HeldExecutor executor;
    siding_test::OneThread refusing;
    refusing.stop({});
    Limiter limiter(1);
    Gate gate;
    gate.open();
    for (const OnCancel mode : {OnCancel::wait, OnCancel::abandon}) {
      run([&]() -> Task<> {
        const auto refused = [](Future<int> call) -> Task<bool> {
          try {
            co_await call;
          } catch (const siding::ShutdownError&) {
            co_return true;
          }
          co_return false;
        };
        auto at_once = create_task(limited(refusing, limiter, gate.key(), 1, mode));
        bool was_refused = co_await refused(at_once);
        CHECK(was_refused);
        CHECK(limiter.borrowed() == 0);

        const auto first = create_task(limited(executor, limiter, gate.key(), 1, mode));
        at_once = create_task(limited(refusing, limiter, gate.key(), 2, mode));
        co_await siding::yield();
        executor.take().run();
        was_refused = co_await refused(at_once);
        CHECK(was_refused);
        CHECK(limiter.borrowed() == 0);
        co_await first;
      });
    }
  }

  TEST_CASE("two loops may share one") {
    ThreadPool pool{{.max_workers = 4}};
    Limiter limiter(2);
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    const auto call = [&] {
      const int now = ++at_once;
      int before = most;
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
      --at_once;
    };
    const auto loop = [&] {
      run([&]() -> Task<> {
        std::vector<Future<void>> tasks;
        for (int n = 0; n < 8; ++n) {
          tasks.push_back(create_task([&]() -> Task<> {
            for (int i = 0; i < 50; ++i)
              co_await siding::offload(pool, {.limiter = &limiter}, std::ref(call));
          }));
        }
        for (auto& task : tasks) co_await task;
      });
    };

    std::thread other(loop);
    loop();
    other.join();

    CHECK(most <= 2);
    CHECK(limiter.borrowed() == 0);
  }

  TEST_CASE("a loop that is closed takes those that wait with it") {
    siding_test::HeldExecutor executor;
    Limiter limiter(1);
    Gate gate;
    gate.open();
    {
      EventLoop loop;
      loop.create_task(limited(executor, limiter, gate.key(), 1));
      loop.create_task(limited(executor, limiter, gate.key(), 2));
      loop.call_soon([&loop] { loop.call_soon([&loop] { loop.stop(); }); });
      loop.run_forever();
      CHECK(limiter.waiting() == 1);
    }
    CHECK(limiter.waiting() == 0);
    CHECK(limiter.borrowed() == 0);
  }

  TEST_CASE("a future cannot wait: submit and run_in_executor refuse a limiter") {
    ThreadPool pool{{.max_workers = 1}};
    Limiter limiter(1);
    CHECK_THROWS_AS(pool.submit({.limiter = &limiter}, [] {}), std::invalid_argument);
    run([&]() -> Task<> {
      CHECK_THROWS_AS(siding::run_in_executor(pool, {.limiter = &limiter}, [] {}),
                      std::invalid_argument);
      co_return;
    });
  }
}

}  // namespace siding_test::limiter_test
