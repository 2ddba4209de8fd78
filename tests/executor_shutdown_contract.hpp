// SPDX-License-Identifier: MIT
#pragma once

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/executor_subject.hpp"
#include "support/gate.hpp"
#include "support/limits.hpp"

// What every executor must do about cancelling and its own end: cases over a factory, as in
// executor_contract.hpp.

namespace siding_test {

inline int work_a_little(int n) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return n;
}
inline int arrive_and_pass(GateKey counter, GateKey gate, int value) {
  arrive(counter);
  return pass_with(gate, value);
}

// FU-002
CONTRACT_TEST_CASE_DEFINE("cancelling a queued call succeeds, and its function never runs", F,
                          contract_cancel_queued) {
  const Subject<F> executor(1);
  Gate gate;
  Gate ran;
  const auto blocker = executor->submit(pass, gate.key());
  gate.wait_for_arrivals(1);

  const auto call = executor->submit(arrive, ran.key());
  CHECK(call.cancel());
  CHECK(call.cancelled());
  gate.open();
  executor->shutdown();

  CHECK(ran.arrivals() == 0);
  CHECK_THROWS_AS(call.get(), siding::Cancelled);
}

// FU-003
CONTRACT_TEST_CASE_DEFINE("cancelling a running call of submit fails and changes nothing", F,
                          contract_cancel_running) {
  const Subject<F> executor(1);
  Gate gate;
  const auto call = executor->submit(pass_with, gate.key(), 7);
  gate.wait_for_arrivals(1);

  CHECK_FALSE(call.cancel());
  CHECK(call.running());
  CHECK_FALSE(call.done());
  gate.open();

  CHECK(value_of(call) == 7);
}

CONTRACT_TEST_CASE_DEFINE("an awaited call that is cancelled while it is queued never runs", F,
                          contract_cancel_awaited) {
  const Subject<F> executor(1);
  Gate gate;
  Gate ran;
  const auto blocker = executor->submit(pass, gate.key());
  gate.wait_for_arrivals(1);

  siding::run([&]() -> siding::Task<> {
    const auto waiting = siding::create_task(siding::offload(*executor, arrive, ran.key()));
    co_await siding::yield();
    waiting.cancel();
    co_await siding::yield();
    co_await siding::yield();

    // Who can give the job back lets its caller go at once, the others when they come to it.
    CHECK(waiting.done() == F::withdraws);
    gate.open();
    const std::vector<siding::Future<>> one{waiting};
    co_await siding::wait(one);
    CHECK(waiting.cancelled());
  });
  executor->shutdown();

  CHECK(ran.arrivals() == 0);
}

// EX-014
CONTRACT_TEST_CASE_DEFINE("after shutdown submit throws and says why", F, contract_refusal) {
  const Subject<F> executor(1);
  Gate ran;
  executor->shutdown();

  CHECK_THROWS_WITH_AS(executor->submit(arrive, ran.key()), doctest::Contains("shut down"),
                       siding::ShutdownError);
  CHECK_THROWS_AS(static_cast<void>(executor->map(arrive, std::vector(3, ran.key()))),
                  siding::ShutdownError);
  siding::run([&]() -> siding::Task<> {
    CHECK_THROWS_AS(siding::run_in_executor(*executor, arrive, ran.key()), siding::ShutdownError);
    bool refused = false;
    try {
      co_await siding::offload(*executor, arrive, ran.key());
    } catch (const siding::ShutdownError&) {
      refused = true;
    }
    CHECK(refused);
  });

  executor->shutdown();
  CHECK(ran.arrivals() == 0);
}

// EX-015
CONTRACT_TEST_CASE_DEFINE("shutdown returns when everything that was submitted has ended", F,
                          contract_shutdown_waits) {
  const Subject<F> executor(5);
  std::vector<siding::Future<int>> calls;
  for (int n = 0; n < 50; ++n)
    calls.push_back(executor->submit(work_a_little, n));

  CHECK(executor->shutdown());

  for (int n = 0; n < 50; ++n) {
    const auto& call = calls[static_cast<std::size_t>(n)];
    REQUIRE(call.done());
    CHECK(call.result() == n);
  }
}

// EX-016
CONTRACT_TEST_CASE_DEFINE("shutdown without waiting returns at once, and what is there still runs",
                          F, contract_shutdown_at_once) {
  const LeakGuard guard;  // first: it has a sanitizer start the thread that is its own
  const std::size_t threads_before = count_threads();
  const std::size_t children_before = count_children();
  const Subject<F> executor(2);
  Gate gate;
  std::vector<siding::Future<int>> calls;
  for (int n = 0; n < 6; ++n)
    calls.push_back(executor->submit(pass_with, gate.key(), n));

  executor->shutdown({.wait = false});  // would wait here for ever
  CHECK_THROWS_AS(executor->submit(square, 1), siding::ShutdownError);
  gate.open();

  for (int n = 0; n < 6; ++n)
    CHECK(value_of(calls[static_cast<std::size_t>(n)]) == n);
  const auto all_gone = [&] {
    return count_threads() <= threads_before && count_children() <= children_before;
  };
  CHECK(becomes_true(all_gone, std::chrono::seconds(slowness)));
}

// EX-017
CONTRACT_TEST_CASE_DEFINE("shutdown can cancel what has not started; what runs goes on", F,
                          contract_shutdown_cancels) {
  const Subject<F> executor(2);
  Gate gate;
  Gate started;
  std::vector<siding::Future<int>> calls;
  for (int n = 0; n < 50; ++n) {
    calls.push_back(executor->submit(arrive_and_pass, started.key(), gate.key(), n));
  }
  gate.wait_for_arrivals(1);

  executor->shutdown({.wait = false, .cancel_pending = true});
  gate.open();
  executor->shutdown();

  int cancelled = 0;
  int finished = 0;
  for (int n = 0; n < 50; ++n) {
    const auto& call = calls[static_cast<std::size_t>(n)];
    REQUIRE(call.done());
    if (call.cancelled()) {
      ++cancelled;
    } else if (call.result() == n) {
      ++finished;
    }
  }
  CHECK(cancelled > 20);
  CHECK(finished >= 1);
  CHECK(cancelled + finished == 50);
  CHECK(started.arrivals() == finished);
}

// EX-018
CONTRACT_TEST_CASE_DEFINE("leaving the scope of an executor waits, and leaves nothing behind", F,
                          contract_scope) {
  const auto absolute = [](int n) { return std::abs(n); };
  const std::vector numbers{-5, -4, -3, -2, -1, 0, 1, 2, 3, 4};

  auto results = Subject<F>(5)->map(absolute, numbers);

  std::vector<int> values;
  for (int value : results)
    values.push_back(value);
  CHECK(values == std::vector{5, 4, 3, 2, 1, 0, 1, 2, 3, 4});
}

CONTRACT_TEST_CASE_DEFINE("destroying an executor runs what is queued", F, contract_destroyed) {
  Gate ran;
  siding::Future<int> last;
  {
    const Subject<F> executor(1);
    Gate gate;
    executor->submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    for (int n = 0; n < 9; ++n)
      executor->submit(arrive, ran.key());
    last = executor->submit(arrive_with, ran.key(), 10);
  }

  REQUIRE(last.done());
  CHECK(last.result() == 10);
  CHECK(ran.arrivals() == 10);
}

CONTRACT_TEST_CASE_DEFINE("shutdown may be called again, and by several threads at once", F,
                          contract_shutdown_again) {
  const Subject<F> executor(2);
  Gate gate;
  const auto call = executor->submit(pass_with, gate.key(), 1);
  std::vector<std::thread> threads;
  std::atomic<int> returned_early{0};

  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (!executor->shutdown() || !call.done()) ++returned_early;
    });
  }
  gate.open();
  for (std::thread& thread : threads)
    thread.join();

  CHECK(returned_early == 0);
  CHECK(executor->shutdown());
  CHECK(call.result() == 1);
}

// TP-013
CONTRACT_TEST_CASE_DEFINE("shutdown with a limit returns in time, and then what is left can be named",
                          F, contract_shutdown_limit) {
  const Subject<F> executor(1);
  Gate gate;
  const auto call = executor->submit({.name = "resize"}, pass_with, gate.key(), 1);
  gate.wait_for_arrivals(1);
  constexpr auto limit = std::chrono::milliseconds(50);

  const auto start = siding::Clock::now();
  const bool all_ended = executor->shutdown({.timeout = limit});
  const auto elapsed = siding::Clock::now() - start;

  CHECK_FALSE(all_ended);
  CHECK(elapsed >= limit);
  CHECK(elapsed < std::chrono::seconds(1) * slowness);
  CHECK_FALSE(call.done());
  if (F::names_calls) {
    CHECK(executor->running_calls() == std::vector<std::string>{"resize"});
  } else {
    CHECK(executor->running_calls().empty());
  }
  gate.open();
  CHECK(executor->shutdown({.timeout = hang_limit}));
  CHECK(executor->running_calls().empty());
  CHECK(call.result() == 1);
}

CONTRACT_TEST_CASE_DEFINE("a submit that races with shutdown is refused or runs", F,
                          contract_shutdown_race) {
  for (int round = 0; round < 20; ++round) {
    Subject<F> executor(2);
    Gate ran;
    std::atomic<int> accepted{0};
    std::atomic<int> wrong{0};
    std::atomic<bool> begun{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (;;) {
          try {
            const auto call = executor->submit(arrive_with, ran.key(), 3);
            ++accepted;
            begun.store(true);
            begun.notify_one();
            if (call.get(hang_limit) != 3) ++wrong;
          } catch (const siding::ShutdownError&) {
            return;
          }
        }
      });
    }

    begun.wait(false);
    executor->shutdown();
    for (std::thread& thread : threads)
      thread.join();

    CHECK(wrong == 0);
    CHECK(ran.arrivals() == accepted.load());
  }
}

// CC-002
CONTRACT_TEST_CASE_DEFINE("functions, arguments and results need only be movable", F,
                          contract_movable) {
  const Subject<F> executor(1);
  auto three = std::make_unique<int>(3);

  auto call = executor->submit(
      [three = std::move(three)](std::unique_ptr<int> n) {
        *n += *three;
        return n;
      },
      std::make_unique<int>(39));
  const std::unique_ptr<int> result = std::move(call).get(hang_limit);

  CHECK(*result == 42);
}

CONTRACT_TEST_CASE_DEFINE("function and arguments are destroyed once, when the call has ended", F,
                          contract_destroyed_once) {
  Counts counts;
  const Subject<F> executor(1);

  const auto ran =
      executor->submit([a = Counted(counts)](const Counted& b) { return a.value() + b.value(); },
                       Counted(counts, 1));
  CHECK(value_of(ran) == 1);
  CHECK(counts.alive() == 0);

  const auto failed = executor->submit(
      [a = Counted(counts)](const Counted&) { throw std::runtime_error("failed"); },
      Counted(counts));
  CHECK_THROWS_AS(failed.get(hang_limit), std::runtime_error);
  CHECK(counts.alive() == 0);
  CHECK(counts.copied == 0);
}

CONTRACT_TEST_CASE_DEFINE("a call that is cancelled or refused is destroyed at once", F,
                          contract_destroyed_unrun) {
  Counts counts;
  const Subject<F> executor(1);
  Gate gate;
  const auto blocker = executor->submit(pass, gate.key());
  gate.wait_for_arrivals(1);

  const auto cancelled = executor->submit([a = Counted(counts)] {});
  CHECK(counts.alive() == 1);
  cancelled.cancel();
  CHECK(counts.alive() == 0);

  executor->shutdown({.wait = false});
  CHECK_THROWS_AS(executor->submit([a = Counted(counts)] {}), siding::ShutdownError);
  CHECK(counts.alive() == 0);
}

// TP-010, the half about request_stop()
CONTRACT_TEST_CASE_DEFINE("a function that takes a stop token is asked to stop", F,
                          contract_stop_token) {
  const Subject<F> executor(1);
  Gate running;
  const auto call = executor->submit(
      [](std::stop_token token, GateKey key) {
        arrive(key);
        std::atomic<bool> stopped{false};
        const std::stop_callback on_stop(token, [&] {
          stopped.store(true);
          stopped.notify_one();
        });
        stopped.wait(false);
        return 5;
      },
      running.key());
  running.wait_for_arrivals(1);

  CHECK_FALSE(call.cancel());
  CHECK(call.request_stop());

  CHECK(value_of(call) == 5);
  CHECK_FALSE(call.request_stop());
}

}  // namespace siding_test
