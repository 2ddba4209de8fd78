// SPDX-License-Identifier: MIT
#pragma once

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/executor_subject.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"

// What every executor must do: cases over a factory. This header has those about calls,
// executor_map_contract.hpp those about map(), executor_shutdown_contract.hpp those about cancelling
// and the end.

namespace siding_test {

inline int power(int base, int exponent) {
  return exponent == 0 ? 1 : base * power(base, exponent - 1);
}
inline int add(int a, int b) { return a + b; }
inline int square(int n) { return n * n; }
inline int square_slowly(int n) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return n * n;
}
inline int arrive_with(GateKey key, int value) {
  arrive(key);
  return value;
}
inline void pass_and_arrive(GateKey gate, GateKey counter) {
  pass(gate);
  arrive(counter);
}

/// The same coroutine for every executor.
inline siding::Task<std::vector<int>> call_six_times(siding::Executor& executor,
                                                     int (*function)(int)) {
  std::vector<siding::Future<int>> calls;
  for (int n = 0; n < 6; ++n)
    calls.push_back(siding::run_in_executor(executor, function, n));
  auto outcome = co_await siding::wait(calls);
  CHECK(outcome.pending.empty());
  std::vector<int> values;
  for (auto& call : outcome.done)
    values.push_back(call.result());
  co_return values;
}

// EX-002
CONTRACT_TEST_CASE_DEFINE("submit calls the function, and its future holds what it returned", F,
                          contract_submit) {
  const Subject<F> executor(2);

  CHECK(value_of(executor->submit(power, 2, 8)) == 256);
  CHECK_NOTHROW(executor->submit([](int) {}, 1).get(hang_limit));
  CHECK(value_of(executor->submit([](std::string text) { return text + "!"; }, "siding")) ==
        "siding!");
}

// EX-003
CONTRACT_TEST_CASE_DEFINE("arguments are copied at the submit, however late the call starts", F,
                          contract_copies) {
  const Subject<F> executor(1);
  Gate gate;
  const auto blocker = executor->submit(pass, gate.key());
  int x = 5;

  const auto sum = executor->submit(add, x, 1);
  x = 100;
  gate.open();

  CHECK(value_of(sum) == 6);
}

// EX-003
CONTRACT_TEST_CASE_DEFINE("std::ref passes a reference, and a closure brings its own values", F,
                          contract_references) {
  const Subject<F> executor(1);
  int x = 5;

  executor->submit([](int& target) { target = 100; }, std::ref(x)).get(hang_limit);

  CHECK(x == 100);
  CHECK(value_of(executor->submit([a = 1, b = 2] { return a - b; })) == -1);
}

// EX-022
CONTRACT_TEST_CASE_DEFINE("what the function throws arrives with its type and its text", F,
                          contract_errors) {
  const Subject<F> executor(1);

  const auto failed = executor->submit([](int) -> int { throw std::out_of_range("k"); }, 0);

  CHECK_THROWS_WITH_AS(failed.get(hang_limit), "k", std::out_of_range);
  CHECK(failed.exception() != nullptr);
}

// EX-001
CONTRACT_TEST_CASE_DEFINE("one coroutine runs its calls on any executor", F, contract_coroutine) {
  const Subject<F> executor(3);

  const auto values = siding::run(call_six_times(*executor, square));

  CHECK(values == std::vector{0, 1, 4, 9, 16, 25});
}

// EX-001
CONTRACT_TEST_CASE_DEFINE("six calls on three workers take the time of two", F, contract_waves) {
  const Subject<F> executor(3);
  Gate ready;
  for (int i = 0; i < 3; ++i)
    executor->submit(pass, ready.key());
  ready.wait_for_arrivals(3);  // the workers are there from now on
  ready.open();

  const auto start = siding::Clock::now();
  const auto values = siding::run(call_six_times(*executor, square_slowly));
  const auto elapsed = siding::Clock::now() - start;

  CHECK(values == std::vector{0, 1, 4, 9, 16, 25});
  CHECK(elapsed >= std::chrono::milliseconds(200));
  CHECK(elapsed < std::chrono::milliseconds(400) * slowness);
}

// EX-029
CONTRACT_TEST_CASE_DEFINE(
    "a call on any executor, the user's own too, can be awaited, and the "
    "coroutine goes on on its loop's thread",
    F, contract_await) {
  const Subject<F> executor(1);
  const auto loop_thread = std::this_thread::get_id();

  siding::run([&]() -> siding::Task<> {
    [[maybe_unused]] const std::size_t threads = count_threads();
    const int from_hot = co_await siding::run_in_executor(*executor, add, 40, 2);
    CHECK(from_hot == 42);
    CHECK(std::this_thread::get_id() == loop_thread);

    const int from_lazy = co_await siding::offload(*executor, add, 40, 3);
    CHECK(from_lazy == 43);
    CHECK(std::this_thread::get_id() == loop_thread);

    const auto submitted = executor->submit(add, 40, 4);
    const int from_submitted = co_await submitted;
    CHECK(from_submitted == 44);
    CHECK(std::this_thread::get_id() == loop_thread);

    if (!F::queues) {
      const auto ran_in = co_await siding::run_in_executor(*executor, std::this_thread::get_id);
      CHECK(ran_in == loop_thread);
      CHECK(count_threads() == threads);
    }
  });
}

// EX-019
CONTRACT_TEST_CASE_DEFINE("a done-callback may submit to the same executor", F,
                          contract_callback_submits) {
  struct Chain {
    siding::Executor& executor;
    Gate& ended;
    std::atomic<int> steps{0};

    void go_on(int left) {
      executor.submit(add, left, -1).add_done_callback([this](const siding::Future<int>& call) {
        ++steps;
        if (call.result() > 0) return go_on(call.result());
        arrive(ended.key());
      });
    }
  };
  const Subject<F> executor(2);
  Gate ended;
  Chain a{*executor, ended};
  Chain b{*executor, ended};
  Chain c{*executor, ended};

  a.go_on(100);
  b.go_on(50);
  c.go_on(60);
  ended.wait_for_arrivals(3);
  executor->shutdown();

  CHECK(a.steps == 100);
  CHECK(b.steps == 50);
  CHECK(c.steps == 60);
}

// EX-020
CONTRACT_TEST_CASE_DEFINE("many threads may use one executor at once", F, contract_threads) {
  const Subject<F> executor(3);
  std::atomic<int> wrong{0};
  const auto use = [&] {
    std::vector<int> numbers(40);
    std::iota(numbers.begin(), numbers.end(), 0);
    const auto map_all = [&] {
      int n = 0;
      for (int value : executor->map(square, numbers)) {
        if (value != square(n++)) ++wrong;
      }
      if (n != 40) ++wrong;
    };
    map_all();
    std::vector<siding::Future<int>> calls;
    for (int n = 0; n < 20; ++n) {
      calls.push_back(executor->submit(square, n));
      if (n % 2 == 1) calls.back().cancel();
    }
    for (int n = 0; n < 20; ++n) {
      const auto& call = calls[static_cast<std::size_t>(n)];
      if (n % 2 == 1 && call.cancelled()) continue;
      if (call.get(hang_limit) != square(n)) ++wrong;
    }
    map_all();
  };

  std::vector<std::thread> users;
  for (int i = 0; i < 10; ++i)
    users.emplace_back(use);
  for (std::thread& user : users)
    user.join();

  CHECK(wrong == 0);
}

// EX-021
CONTRACT_TEST_CASE_DEFINE("dropping the future neither blocks nor drops the work", F,
                          contract_dropped_future) {
  const Subject<F> executor(1);
  Gate gate;
  Gate ran;

  executor->submit(pass_and_arrive, gate.key(), ran.key());  // would block here for ever
  CHECK(ran.arrivals() == 0);
  gate.open();
  executor->shutdown();

  CHECK(ran.arrivals() == 1);
}

CONTRACT_TEST_CASE_DEFINE("a call starts while a worker is free, whatever the other workers do", F,
                          contract_liveness) {
  const Subject<F> executor(3);
  Gate gate;

  for (int blocked = 0; blocked < 3; ++blocked) {
    // One more worker than are blocked is there already, or none of those that are free is.
    const int rounds = blocked == 1 ? 20 : 0;
    for (int n = 0; n <= rounds; ++n)
      CHECK(value_of(executor->submit(square, n)) == square(n));
    executor->submit(pass, gate.key());
    gate.wait_for_arrivals(blocked + 1);
  }
  const auto queued = executor->submit(square, 9);
  CHECK_FALSE(queued.done());
  gate.open();

  CHECK(value_of(queued) == 81);
}

}  // namespace siding_test
