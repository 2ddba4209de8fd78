// SPDX-License-Identifier: MIT
// Many calls at once, cancelled at random, from loops and plain threads that share one pool: no
// call is lost, and none is made twice.

#include <siding/create_task.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <random>
#include <stop_token>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/leak_guard.hpp"
#include "support/seed.hpp"

namespace siding_test::offload_stress_test {
namespace {

using siding::AnyFuture;
using siding::CallOptions;
using siding::Cancelled;
using siding::create_task;
using siding::EventLoop;
using siding::Future;
using siding::OnCancel;
using siding::Task;
using siding::ThreadPool;
using siding_test::Counted;
using siding_test::Counts;
using Random = std::mt19937;

/// What became of one call. Each field is written once if all is well.
struct Call {
  std::atomic<int> ran{0};
  std::atomic<int> values{0};
  std::atomic<int> cancellations{0};
};

struct Totals {
  int lost = 0;   // no outcome
  int twice = 0;  // run more than once, or two outcomes
  int value_without_run = 0;
  int values = 0;
  int cancellations = 0;
};

Totals add_up(const std::vector<Call>& calls) {
  Totals totals;
  for (const Call& call : calls) {
    const int outcomes = call.values + call.cancellations;
    if (outcomes == 0) ++totals.lost;
    if (outcomes > 1 || call.ran > 1) ++totals.twice;
    if (call.values == 1 && call.ran != 1) ++totals.value_without_run;
    totals.values += call.values;
    totals.cancellations += call.cancellations;
  }
  return totals;
}

int run_call(Call* call, const Counted& argument) {
  ++call->ran;
  return argument.value();
}
int run_call_with_token(std::stop_token token, Call* call, const Counted& argument) {
  ++call->ran;
  return token.stop_requested() ? -1 : argument.value();
}

/// Makes `call` in one of the ways there are; throws Cancelled.
Task<int> make_call(ThreadPool& pool, Call& call, Counts& arguments, unsigned way) {
  if (way == 0) {
    auto future = siding::run_in_executor(pool, run_call, &call, Counted(arguments, 7));
    co_return co_await future;
  }
  if (way == 1) {
    auto future = pool.submit(run_call, &call, Counted(arguments, 7));
    co_return co_await future;
  }
  if (way == 2) {
    auto offloaded = siding::offload(pool, run_call_with_token, &call, Counted(arguments, 7));
    co_return co_await offloaded;
  }
  const OnCancel on_cancel = way == 3 ? OnCancel::abandon : OnCancel::wait;
  auto offloaded =
      siding::offload(pool, {.on_cancel = on_cancel}, run_call, &call, Counted(arguments, 7));
  co_return co_await offloaded;
}

/// Makes the calls [first, last) one after the other, whatever cancels it.
Task<> make_calls(ThreadPool& pool, Call* first, Call* last, Counts& arguments, unsigned seed) {
  Random random(seed);
  for (Call* call = first; call != last; ++call) {
    try {
      const int value =
          co_await make_call(pool, *call, arguments, static_cast<unsigned>(random() % 6));
      if (value == 7) ++call->values;
    } catch (const Cancelled&) {
      ++call->cancellations;
    }
  }
}

/// Cancels one of `callers` now and then until all are done.
Task<> cancel_now_and_then(std::vector<Future<>>& callers, unsigned seed) {
  Random random(seed);
  std::size_t done = 0;
  while (done < callers.size()) {
    callers[random() % callers.size()].cancel();
    for (auto i = random() % 8; i > 0; --i)
      co_await siding::yield();
    while (done < callers.size() && callers[done].done())
      ++done;
  }
}

/// Keeps the processor busy: `looks` times less than a nanosecond.
void spin(unsigned looks) {
  static std::atomic<unsigned> nothing{0};
  for (; looks > 0; --looks)
    nothing.load();
}

constexpr std::size_t callers_per_loop = 32;
constexpr std::size_t calls_per_caller = 1600;
constexpr std::size_t calls_per_loop = callers_per_loop * calls_per_caller;
constexpr std::size_t calls_per_thread = 50'000;

struct Shared {
  explicit Shared(unsigned first_seed) : seed(first_seed) {}
  ThreadPool pool{{.max_workers = 3}};
  Counts arguments;
  unsigned seed;
};

/// One loop, with callers that are cancelled from it and by `cancel_from_outside`.
void loop_of_calls(Shared& shared, std::vector<Call>& calls, std::vector<AnyFuture>& handles,
                   std::latch& started, unsigned seed) {
  EventLoop loop;
  loop.run_until_complete([&]() -> Task<> {
    std::vector<Future<>> callers;
    for (std::size_t i = 0; i < callers_per_loop; ++i) {
      Call* first = calls.data() + i * calls_per_caller;
      callers.push_back(create_task(make_calls(shared.pool, first, first + calls_per_caller,
                                               shared.arguments, seed + static_cast<unsigned>(i))));
    }
    co_await siding::yield();  // a caller that is cancelled before its first step makes no calls
    handles.assign(callers.begin(), callers.end());
    started.count_down();
    co_await cancel_now_and_then(callers, seed);
    co_await siding::wait(callers);
  });
}

/// A plain thread that submits, and cancels some of what it has submitted.
void thread_of_calls(Shared& shared, std::vector<Call>& calls, unsigned seed) {
  Random random(seed);
  for (Call& call : calls) {
    const Future<int> future = shared.pool.submit(run_call, &call, Counted(shared.arguments, 7));
    if (random() % 4 == 0) future.cancel();
    try {
      if (future.get() == 7) ++call.values;
    } catch (const Cancelled&) {
      ++call.cancellations;
    }
  }
}

/// Any thread may cancel a task of a loop.
void cancel_from_outside(const std::vector<AnyFuture>& handles, unsigned seed) {
  Random random(seed);
  std::size_t done = 0;
  while (done < handles.size()) {
    handles[random() % handles.size()].cancel();
    std::this_thread::yield();
    while (done < handles.size() && handles[done].done())
      ++done;
  }
}

void check_loop(const char* what, const std::vector<Call>& calls) {
  const Totals totals = add_up(calls);
  INFO(what, ": ", totals.values, " values, ", totals.cancellations, " cancellations");
  CHECK(totals.lost == 0);
  CHECK(totals.twice == 0);
  CHECK(totals.value_without_run == 0);
  // Else nothing was tried.
  CHECK(totals.values > 0);
  CHECK(totals.cancellations > 0);
}

}  // namespace

TEST_SUITE("offload stress") {
  // RX-022
  TEST_CASE("two loops and two threads share a pool: no call is lost, none is made twice") {
    const siding_test::LeakGuard guard;
    const unsigned seed = siding_test::random_seed();
    INFO("SIDING_TEST_SEED=", seed);
    std::vector<Call> of_loops[2] = {std::vector<Call>(calls_per_loop),
                                     std::vector<Call>(calls_per_loop)};
    std::vector<Call> of_threads[2] = {std::vector<Call>(calls_per_thread),
                                       std::vector<Call>(calls_per_thread)};
    Shared shared(seed);
    std::vector<AnyFuture> handles[2];
    std::latch started(2);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 2; ++i) {
      threads.emplace_back(
          [&, i] { loop_of_calls(shared, of_loops[i], handles[i], started, seed + 1000 * i); });
      threads.emplace_back([&, i] { thread_of_calls(shared, of_threads[i], seed + 7000 + i); });
    }
    started.wait();
    cancel_from_outside(handles[0], seed + 9000);
    cancel_from_outside(handles[1], seed + 9001);
    for (std::thread& thread : threads)
      thread.join();
    shared.pool.shutdown();

    for (const auto& calls : of_loops)
      check_loop("a loop", calls);
    for (const auto& calls : of_threads)
      check_loop("a thread", calls);
    CHECK(shared.arguments.alive() == 0);
  }

  TEST_CASE("a cancellation at the instant of completion: one outcome, and one Cancelled") {
    constexpr int rounds = 10'000;
    const unsigned seed = siding_test::random_seed();
    INFO("SIDING_TEST_SEED=", seed);
    Random random(seed);
    Counts arguments;
    Counts results;
    ThreadPool pool({.max_workers = 1});
    EventLoop loop;
    // 0: waited for, 1: abandoned, 2: run_in_executor
    for (int way = 0; way < 3; ++way) {
      int values = 0;
      int cancelled = 0;
      int late = 0;
      int wrong = 0;
      std::atomic<int> calls{0};
      loop.run_until_complete([&]() -> Task<> {
        std::atomic<bool> returning{false};
        const auto function = [&](const Counted& argument, unsigned delay) {
          ++calls;
          Counted result(results, argument.value());
          returning = true;
          spin(delay);
          return result;
        };
        for (int round = 0; round < rounds; ++round) {
          returning = false;
          const auto delay = static_cast<unsigned>(random() % 5000);
          bool got_value = false;
          bool got_cancelled = false;
          bool cancelled_later = false;
          const auto body = [&]() -> Task<> {
            try {
              if (way == 2) {
                auto future = siding::run_in_executor(pool, function, Counted(arguments), delay);
                co_await future;
              } else {
                CallOptions options;
                if (way == 1) options.on_cancel = OnCancel::abandon;
                auto call = siding::offload(pool, options, function, Counted(arguments), delay);
                co_await call;
              }
              got_value = true;
            } catch (const Cancelled&) {
              got_cancelled = true;
            }
            try {
              co_await siding::yield();  // a request that came too late is thrown here
            } catch (const Cancelled&) {
              cancelled_later = true;
            }
          };
          const Future<> caller = create_task(body());
          co_await siding::yield();
          while (!returning)
            std::this_thread::yield();
          for (auto i = random() % 200; i > 0; --i)
            returning.load();
          if (!caller.cancel()) ++wrong;
          co_await siding::wait(caller);
          if (got_value == got_cancelled || got_cancelled == cancelled_later) ++wrong;
          values += got_value;
          cancelled += got_cancelled;
          late += cancelled_later;
        }
      });
      CAPTURE(way);
      CAPTURE(values);
      CAPTURE(cancelled);
      CHECK(wrong == 0);
      CHECK(values + cancelled == rounds);
      CHECK(late == values);
      CHECK(calls == rounds);
    }
    pool.shutdown();
    CHECK(arguments.alive() == 0);
    CHECK(results.alive() == 0);
  }
}

}  // namespace siding_test::offload_stress_test
