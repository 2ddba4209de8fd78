// SPDX-License-Identifier: MIT
#pragma once

#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/executor_subject.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/shared_counts.hpp"
#include "support/thread_state.hpp"

// What the future of submit() must do, whatever executor runs the call: cases over a factory, as in
// executor_contract.hpp.

namespace siding_test {

struct FutureState {
  bool cancelled;
  bool running;
  bool done;
  bool operator==(const FutureState&) const = default;
};

inline FutureState state_of(const siding::AnyFuture& future) {
  return {future.cancelled(), future.running(), future.done()};
}

inline int throw_text(const std::string& text) { throw std::runtime_error(text); }
inline std::string repeat(char letter, int count) {
  return std::string(static_cast<std::size_t>(count), letter);
}
inline std::unique_ptr<int> on_the_heap(int value) { return std::make_unique<int>(value); }

// FU-001
CONTRACT_TEST_CASE_DEFINE("a call is pending, then running, then done or cancelled, and says so", F,
                          contract_states) {
  const Subject<F> executor(1);
  Gate gate;
  const auto running = executor->submit(pass_with, gate.key(), 1);
  gate.wait_for_arrivals(1);
  const auto pending = executor->submit(pass_with, gate.key(), 2);
  const auto cancelled = executor->submit(pass_with, gate.key(), 3);
  cancelled.cancel();
  const auto failed = executor->submit(throw_text, "failed");

  CHECK(state_of(running) == FutureState{.cancelled = false, .running = true, .done = false});
  CHECK(state_of(pending) == FutureState{.cancelled = false, .running = false, .done = false});
  CHECK(state_of(cancelled) == FutureState{.cancelled = true, .running = false, .done = true});
  gate.open();
  executor->shutdown();

  for (const auto& call : {running, pending, failed})
    CHECK(state_of(call) == FutureState{.cancelled = false, .running = false, .done = true});
  CHECK(running.exception() == nullptr);
  CHECK(failed.exception() != nullptr);
}

// FU-004
CONTRACT_TEST_CASE_DEFINE("get() with a limit throws when it is late, and the future stays usable",
                          F, contract_get_limit) {
  const Subject<F> executor(1);
  Gate gate;
  const auto running = executor->submit(pass_with, gate.key(), 1);
  gate.wait_for_arrivals(1);
  const auto pending = executor->submit(pass_with, gate.key(), 2);

  CHECK_THROWS_AS(running.get(std::chrono::seconds(0)), siding::TimeoutError);
  CHECK_THROWS_AS(pending.get(std::chrono::seconds(0)), siding::TimeoutError);
  CHECK_THROWS_AS(running.get(std::chrono::milliseconds(5)), siding::TimeoutError);
  gate.open();

  CHECK(value_of(running) == 1);
  CHECK(value_of(pending) == 2);
}

// FU-005
CONTRACT_TEST_CASE_DEFINE("every thread that waits for a future wakes", F, contract_readers) {
  const Subject<F> executor(1);
  Gate gate;
  const auto call = executor->submit(pass_with, gate.key(), 8);
  std::atomic<int> sum{0};
  std::array<std::atomic<pid_t>, 8> ids{};
  std::vector<std::thread> readers;
  for (std::atomic<pid_t>& id : ids) {
    readers.emplace_back([&] {
      id = ::gettid();
      sum += value_of(call);
    });
  }

  for (const std::atomic<pid_t>& id : ids)
    CHECK(becomes_true([&] { return is_asleep(id); }));
  gate.open();
  for (std::thread& reader : readers)
    reader.join();

  CHECK(sum == 64);
}

// FU-006
CONTRACT_TEST_CASE_DEFINE("a value can be read many times, and a move-only one is taken once", F,
                          contract_values) {
  const Subject<F> executor(1);

  const auto text = executor->submit(repeat, 's', 1000);
  CHECK(value_of(text) == std::string(1000, 's'));
  CHECK(text.result() == std::string(1000, 's'));

  auto number = executor->submit(on_the_heap, 3);
  const std::unique_ptr<int> taken = std::move(number).get(hang_limit);
  CHECK(*taken == 3);
  CHECK_THROWS_AS(static_cast<void>(std::move(number).result()), siding::InvalidStateError);
}

// FU-007
CONTRACT_TEST_CASE_DEFINE(
    "done-callbacks run once each, in the order they were added, with the done future", F,
    contract_callbacks) {
  const Subject<F> executor(1);
  Gate gate;
  std::vector<int> order;
  const auto call = executor->submit(pass_with, gate.key(), 5);

  call.add_done_callback([&](const siding::Future<int>& future) {
    if (future.done() && future.result() == 5 && future == call) order.push_back(1);
  });
  call.add_done_callback([&](const siding::AnyFuture& future) {
    if (future.done()) order.push_back(2);
  });
  call.add_done_callback([&] { order.push_back(3); });
  gate.wait_for_arrivals(1);
  CHECK(order.empty());
  gate.open();
  executor->shutdown();

  CHECK(order == std::vector{1, 2, 3});
}

// FU-008
CONTRACT_TEST_CASE_DEFINE("a callback that is added when the future is done runs at once", F,
                          contract_late_callback) {
  const Subject<F> executor(1);
  Gate gate;
  const auto finished = executor->submit(pass_with, gate.key(), 5);
  gate.wait_for_arrivals(1);
  const auto failed = executor->submit(throw_text, "boom");
  const auto cancelled = executor->submit(pass_with, gate.key(), 6);
  CHECK(cancelled.cancel());
  gate.open();
  executor->shutdown();

  std::vector<std::thread::id> ran;
  for (const siding::Future<int>& future : {finished, failed, cancelled})
    future.add_done_callback([&] { ran.push_back(std::this_thread::get_id()); });

  CHECK(ran == std::vector(3, std::this_thread::get_id()));
  CHECK(failed.exception() != nullptr);
}

// FU-010
CONTRACT_TEST_CASE_DEFINE(
    "a callback that throws is reported, and disturbs neither the others nor the result", F,
    contract_throwing_callback) {
  const Subject<F> executor(1);
  const LogCapture log;
  Gate gate;
  const auto call =
      executor->submit(siding::CallOptions{.name = "resize"}, pass_with, gate.key(), 5);
  bool recorded = false;

  call.add_done_callback([] { throw std::runtime_error("from the callback"); });
  call.add_done_callback([&] { recorded = true; });
  gate.open();
  executor->shutdown();

  CHECK(recorded);
  CHECK(call.result() == 5);
  const auto lines = log.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("from the callback") != std::string::npos);
  CHECK(lines[0].find("resize") != std::string::npos);
}

// FU-014
CONTRACT_TEST_CASE_DEFINE("cancelling and starting exclude each other", F,
                          contract_cancel_against_start) {
  constexpr std::size_t rounds = 2000;
  // Both outcomes are there, however the threads are scheduled: the first calls are cancelled while
  // the only worker is at the gate, the last one is not before it has run.
  constexpr std::size_t first_calls = 16;
  const Subject<F> executor(1);
  const SharedCounts ran(rounds);
  std::vector<siding::Future<int>> calls(rounds);
  std::vector<int> cancelled(rounds);
  std::atomic<std::size_t> submitted{0};
  std::atomic<std::size_t> handled{0};  // by the canceller
  Gate gate;
  const auto blocker = executor->submit(pass, gate.key());
  gate.wait_for_arrivals(1);

  // The canceller and the worker both follow close behind this thread.
  std::thread canceller([&] {
    for (std::size_t round = 0; round < rounds; ++round) {
      while (submitted.load(std::memory_order_acquire) <= round)
        std::this_thread::yield();
      cancelled[round] = calls[round].cancel() ? 1 : 0;
      handled.store(round + 1, std::memory_order_relaxed);
    }
  });
  for (std::size_t round = 0; round < rounds; ++round) {
    calls[round] = executor->submit(raise_count, ran.key(), round);
    while (round + 1 == rounds && !calls[round].done())
      std::this_thread::yield();
    submitted.store(round + 1, std::memory_order_release);
    if (round + 1 == first_calls) {
      while (handled.load(std::memory_order_relaxed) < first_calls)
        std::this_thread::yield();
      gate.open();
    }
    if (round % 16 == 0) std::this_thread::yield();
  }
  canceller.join();
  executor->shutdown();

  std::size_t wrong = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const bool once = cancelled[round] + ran[round] == 1;
    const bool says_so = calls[round].cancelled() == (cancelled[round] == 1);
    wrong += once && says_so ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(cancelled.front() == 1);
  CHECK(cancelled.back() == 0);
}

}  // namespace siding_test
