// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/thread_state.hpp"

namespace siding_test::future_test {
namespace {

using namespace std::chrono_literals;
using siding::AnyFuture;
using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding_test::becomes_true;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::is_asleep;
using siding_test::pass;
using siding_test::pass_with;

struct State {
  bool cancelled;
  bool running;
  bool done;
  bool operator==(const State&) const = default;
};

State state_of(const AnyFuture& future) {
  return {future.cancelled(), future.running(), future.done()};
}

int fail_with(const char* text) { throw std::runtime_error(text); }

// The future of a call that has ended.
template <class... Call>
auto ended(ThreadPool& pool, Call&&... call) {
  auto future = pool.submit(std::forward<Call>(call)...);
  while (!future.done())
    std::this_thread::yield();
  return future;
}

}  // namespace

TEST_SUITE("Future") {
  // FU-001
  TEST_CASE("a call is pending, then running, then done or cancelled") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto running = pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    const auto pending = pool.submit(pass, gate.key());
    const auto cancelled = pool.submit(pass, gate.key());
    cancelled.cancel();
    const auto failed = pool.submit(fail_with, "failed");

    CHECK(state_of(pending) == State{.cancelled = false, .running = false, .done = false});
    CHECK(state_of(running) == State{.cancelled = false, .running = true, .done = false});
    CHECK(state_of(cancelled) == State{.cancelled = true, .running = false, .done = true});
    gate.open();
    pool.shutdown();

    CHECK(state_of(running) == State{.cancelled = false, .running = false, .done = true});
    CHECK(state_of(failed) == State{.cancelled = false, .running = false, .done = true});
    CHECK(failed.exception() != nullptr);
  }

  // FU-002
  TEST_CASE("a call that is cancelled before it starts never runs") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    std::atomic<int> calls{0};
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);

    const auto call = pool.submit([&calls] { ++calls; });
    CHECK(call.cancel());
    CHECK_FALSE(call.cancel());  // done already
    gate.open();
    pool.shutdown();

    CHECK(call.cancelled());
    CHECK(calls == 0);
  }

  // FU-003
  TEST_CASE("a running call of submit() cannot be cancelled") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 5);
    gate.wait_for_arrivals(1);

    CHECK_FALSE(call.cancel());
    CHECK(call.running());
    gate.open();

    CHECK(call.get(hang_limit) == 5);
    CHECK_FALSE(call.cancelled());
  }

  // RX-008
  TEST_CASE("a running call of run_in_executor() is cancelled at once and runs on by itself") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;

    siding::run([&]() -> Task<> {
      const auto call = siding::run_in_executor(pool, [&, key = gate.key()] {
        pass(key);
        return Counted(counts);
      });
      gate.wait_for_arrivals(1);
      CHECK(call.cancel({.reason = "too slow"}));
      CHECK(state_of(call) == State{.cancelled = true, .running = false, .done = true});
      CHECK(counts.made == 0);
      co_return;
    });
    gate.open();
    pool.shutdown();

    CHECK(counts.made == 1);
    CHECK(counts.destroyed == 1);
  }

  // FU-004
  TEST_CASE("get() with a limit throws when it is late, and the future stays usable") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto running = pool.submit(pass_with, gate.key(), 1);
    gate.wait_for_arrivals(1);
    const auto pending = pool.submit(pass_with, gate.key(), 2);

    CHECK_THROWS_AS(pending.get(0ms), siding::TimeoutError);
    CHECK_THROWS_AS(running.get(0ms), siding::TimeoutError);
    CHECK_THROWS_AS(running.get(-1ms), siding::TimeoutError);
    const auto start = siding::Clock::now();
    CHECK_THROWS_AS(running.get(20ms), siding::TimeoutError);
    CHECK(siding::Clock::now() - start >= 20ms);
    gate.open();

    CHECK(running.get(std::chrono::hours::max()) == 1);
    CHECK(pending.get() == 2);
    CHECK(pending.get(0ms) == 2);
  }

  // FU-005
  TEST_CASE("every thread that waits for a future wakes") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 8);
    std::atomic<int> sum{0};
    std::array<std::atomic<pid_t>, 8> ids{};
    std::vector<std::thread> waiters;

    for (std::atomic<pid_t>& id : ids) {
      waiters.emplace_back([&] {
        id = ::gettid();
        sum += call.get(hang_limit);
      });
    }
    gate.wait_for_arrivals(1);
    for (const std::atomic<pid_t>& id : ids)
      CHECK(becomes_true([&] { return is_asleep(id); }));
    gate.open();
    for (std::thread& waiter : waiters)
      waiter.join();

    CHECK(sum == 64);
  }

  // FU-006
  TEST_CASE("a value can be read many times, and every handle reads the same object") {
    ThreadPool pool{{.max_workers = 1}};
    const Future<std::string> text = ended(pool, [] { return std::string(100, 's'); });
    const Future<std::string> copy = text;

    CHECK(text.result() == std::string(100, 's'));
    CHECK(text.get() == std::string(100, 's'));
    CHECK(&text.result() == &text.get());
    CHECK(&copy.result() == &text.result());
  }

  // FU-006
  TEST_CASE("a move-only value is taken once, then it is gone for every handle") {
    ThreadPool pool{{.max_workers = 1}};
    Future<std::unique_ptr<int>> call = ended(pool, [] { return std::make_unique<int>(3); });
    const Future<std::unique_ptr<int>> copy = call;

    CHECK(*copy.result() == 3);  // a look leaves it there
    const std::unique_ptr<int> taken = std::move(call).result();

    CHECK(*taken == 3);
    CHECK_THROWS_AS(static_cast<void>(std::move(call).result()), siding::InvalidStateError);
    CHECK_THROWS_AS(copy.result(), siding::InvalidStateError);
    CHECK_THROWS_AS(copy.get(), siding::InvalidStateError);
  }

  TEST_CASE("of two handles that take a move-only value at once, one gets it") {
    for (int round = 0; round < 200; ++round) {
      ThreadPool pool{{.max_workers = 1}};
      Future<std::unique_ptr<int>> mine = ended(pool, [] { return std::make_unique<int>(3); });
      std::atomic<int> taken{0};
      std::atomic<int> refused{0};
      const auto take = [&](Future<std::unique_ptr<int>> handle) {
        try {
          taken += *std::move(handle).get();
        } catch (const siding::InvalidStateError&) {
          ++refused;
        }
      };

      std::thread other(take, mine);
      take(mine);
      other.join();

      CHECK(taken == 3);
      CHECK(refused == 1);
    }
  }

  TEST_CASE("the only handle gives its value away without a copy") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    auto call = ended(pool, [&] { return Counted(counts, 7); });

    const Counted value = std::move(call).result();

    CHECK(value.value() == 7);
    CHECK(counts.copied == 0);
  }

  TEST_CASE("the only handle gives its value away without a copy, also if it has to wait") {
    for (int round = 0; round < 50; ++round) {
      Counts counts;
      ThreadPool pool{{.max_workers = 1}};
      Gate gate;
      auto call = pool.submit([&, key = gate.key()] {
        pass(key);
        return Counted(counts, 7);
      });
      std::thread opener([&] {
        while (!call.running())
          std::this_thread::yield();
        gate.open();
      });

      const Counted value = std::move(call).get(hang_limit);
      opener.join();

      CHECK(value.value() == 7);
      CHECK(counts.copied == 0);
    }
  }

  TEST_CASE("a value is copied while other handles can read it") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    auto call = ended(pool, [&] { return Counted(counts, 7); });
    const auto other = call;

    const Counted value = std::move(call).get();

    CHECK(value.value() == 7);
    CHECK(counts.copied == 1);
    CHECK(other.result().value() == 7);
  }

  TEST_CASE("the outcome of a call that has not ended is refused, not waited for") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    auto call = pool.submit(pass_with, gate.key(), 1);

    CHECK_THROWS_AS(call.result(), siding::InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(std::move(call).result()), siding::InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(call.exception()), siding::InvalidStateError);
    gate.open();

    CHECK(call.get() == 1);
  }

  TEST_CASE("an error can be read many times, by throwing and as a pointer") {
    ThreadPool pool{{.max_workers = 1}};
    const auto failed = ended(pool, fail_with, "boom");
    const auto fine = ended(pool, [] { return 1; });

    CHECK_THROWS_WITH_AS(failed.result(), "boom", std::runtime_error);
    CHECK_THROWS_WITH_AS(failed.get(), "boom", std::runtime_error);
    CHECK_THROWS_WITH_AS(std::rethrow_exception(failed.exception()), "boom", std::runtime_error);
    CHECK(fine.exception() == nullptr);
  }

  TEST_CASE("a cancelled future throws Cancelled, and exception() gives it without throwing") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    const auto call = pool.submit(pass_with, gate.key(), 1);

    call.cancel({.reason = "not needed"});

    CHECK_THROWS_AS(call.result(), siding::Cancelled);
    CHECK_THROWS_AS(call.get(), siding::Cancelled);
    std::string reason;
    try {
      std::rethrow_exception(call.exception());
    } catch (const siding::Cancelled& cancelled) {
      reason = cancelled.reason();
    }
    CHECK(reason == "not needed");
  }

  TEST_CASE("a future of void has an outcome and no value") {
    ThreadPool pool{{.max_workers = 1}};

    const Future<> fine = ended(pool, [] {});
    const Future<> failed = ended(pool, [] { throw std::runtime_error("boom"); });

    CHECK_NOTHROW(fine.result());
    CHECK_NOTHROW(fine.get());
    CHECK_THROWS_AS(failed.result(), std::runtime_error);
  }

  TEST_CASE("a name is given at the start or made, and can be changed") {
    ThreadPool pool{{.max_workers = 1}};

    const auto named = ended(pool, siding::CallOptions{.name = "resize"}, [] {});
    const auto first = ended(pool, [] {});
    const auto second = ended(pool, [] {});

    CHECK(named.name() == "resize");
    CHECK_FALSE(first.name().empty());
    CHECK(first.name() == first.name());
    CHECK(first.name() != second.name());
    second.set_name("second");
    CHECK(AnyFuture(second).name() == "second");
  }

  TEST_CASE("handles are equal if they are of the same work") {
    ThreadPool pool{{.max_workers = 1}};
    const auto one = pool.submit([] { return 1; });
    const auto two = pool.submit([] { return 1; });
    const AnyFuture any = one;

    CHECK(any == one);
    CHECK(one != two);
    CHECK(std::hash<AnyFuture>()(any) == std::hash<Future<int>>()(one));
    const std::unordered_set<AnyFuture> set{one, any, two};
    CHECK(set.size() == 2);
    CHECK(one.valid());
    CHECK_FALSE(Future<int>().valid());
    CHECK(Future<int>() == Future<int>());
  }

  TEST_CASE("a function that takes no stop token cannot be asked to stop") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);

    CHECK_FALSE(call.request_stop());
  }

  // FU-014
  TEST_CASE("cancelling and starting exclude each other") {
    constexpr std::size_t rounds = 10'000;
    ThreadPool pool{{.max_workers = 1}};
    std::vector<Future<>> calls(rounds);
    std::vector<std::atomic<int>> ran(rounds);
    std::vector<int> cancelled(rounds);
    std::atomic<std::size_t> submitted{0};
    // Both outcomes are there, however the threads are scheduled: the first calls are cancelled
    // while the only worker is at the gate, the last one is not before it has run.
    constexpr std::size_t first_calls = 16;
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    std::atomic<std::size_t> handled{0};  // by the canceller

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
      calls[round] = pool.submit([&ran, round] { ++ran[round]; });
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
    pool.shutdown();

    std::size_t wrong = 0;
    std::size_t cancels = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
      cancels += static_cast<std::size_t>(cancelled[round]);
      const bool once = cancelled[round] + ran[round].load() == 1;
      const bool says_so = calls[round].cancelled() == (cancelled[round] == 1);
      if (!once || !says_so) ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(cancels >= first_calls);
    CHECK(cancels < rounds);
  }
}

}  // namespace siding_test::future_test
