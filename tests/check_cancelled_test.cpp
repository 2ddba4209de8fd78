// SPDX-License-Identifier: MIT
#include <siding/check_cancelled.hpp>

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <thread>

#include "support/executors.hpp"
#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/turns.hpp"

namespace siding_test::check_cancelled_test {

using namespace std::chrono_literals;
using siding::Future;
using siding::OnCancel;
using siding::ProcessPool;
using siding::Task;
using siding::ThreadPool;
using siding_test::arrive;
using siding_test::Gate;
using siding_test::GateKey;
using siding_test::hang_limit;
using siding_test::LogCapture;
using siding_test::turns;

// Asks until the answer is yes, and says when it is.
void ask_until_cancelled(GateKey begun, GateKey heard) {
  arrive(begun);
  try {
    for (;;) {
      siding::check_cancelled();
      std::this_thread::yield();
    }
  } catch (const siding::Cancelled&) {
    arrive(heard);
    throw;
  }
}
void ask_in_process(std::stop_token, GateKey begun, GateKey heard) {
  ask_until_cancelled(begun, heard);
}

long sum_of_squares(long n) {
  long sum = 0;
  for (long i = 0; i < n; ++i) {
    if (i % 4096 == 0) siding::check_cancelled();
    sum += i * i;
  }
  return sum;
}

bool is_refused() {
  try {
    siding::check_cancelled();
  } catch (const siding::InvalidStateError&) {
    return true;
  }
  return false;
}

// Makes the call in a task, cancels that when the function runs, and waits until it has heard.
template <class Call>
void cancel_while_running(Call call, bool ends_with_function) {
  const LogCapture log;
  Gate begun;
  Gate heard;
  siding::run([&]() -> Task<> {
    const Future<> task = siding::create_task(call(begun.key(), heard.key()));
    co_await turns(2);
    begun.wait_for_arrivals(1);
    task.cancel();
    const auto ended = co_await siding::wait(task);
    CHECK(ended.done.size() == 1);
    CHECK(task.cancelled());
    if (ends_with_function) CHECK(heard.arrivals() == 1);
    heard.wait_for_arrivals(1);
  });
  CHECK(log.lines().empty());
}

TEST_SUITE("check_cancelled") {
  // RX-011
  TEST_CASE("throws in a running function once the task that awaits it was cancelled") {
    ThreadPool pool{{.max_workers = 1}};
    siding_test::OneThread own;
    cancel_while_running(
        [&](GateKey begun, GateKey heard) -> Task<> {
          co_await siding::offload(pool, ask_until_cancelled, begun, heard);
        },
        true);
    cancel_while_running(
        [&](GateKey begun, GateKey heard) -> Task<> {
          co_await siding::offload(own, ask_until_cancelled, begun, heard);
        },
        true);
    cancel_while_running(
        [](GateKey begun, GateKey heard) -> Task<> {
          co_await siding::to_thread({.on_cancel = OnCancel::abandon}, ask_until_cancelled, begun,
                                     heard);
        },
        false);
  }

  // RX-011
  TEST_CASE("throws in a running function once the future of run_in_executor was cancelled") {
    ThreadPool pool{{.max_workers = 1}};
    cancel_while_running(
        [&](GateKey begun, GateKey heard) -> Task<> {
          co_await siding::run_in_executor(pool, ask_until_cancelled, begun, heard);
        },
        false);
    pool.shutdown();
  }

  TEST_CASE("lets a timeout end a function that takes no token") {
    Gate begun;
    Gate heard;
    siding::run([&]() -> Task<> {
      bool timed_out = false;
      try {
        co_await siding::wait_for(
            siding::to_thread(ask_until_cancelled, begun.key(), heard.key()), 1ms);
      } catch (const siding::TimeoutError&) {
        timed_out = true;
      }
      CHECK(timed_out);
    });
  }

  TEST_CASE("does nothing while the caller waits, and in a call of submit") {
    siding::run([]() -> Task<> {
      const long sum = co_await siding::to_thread(sum_of_squares, 10'000L);
      CHECK(sum == 333'283'335'000);
    });
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const Future<> call = pool.submit([key = gate.key()] {
      siding_test::pass(key);
      siding::check_cancelled();
    });
    gate.wait_for_arrivals(1);
    CHECK_FALSE(call.cancel());
    gate.open();
    CHECK_NOTHROW(call.get(hang_limit));
  }

  // RX-011
  TEST_CASE("is a usage error on a thread that runs no call, also one that a call has started") {
    CHECK_THROWS_WITH_AS(
        siding::check_cancelled(),
        "check_cancelled: this thread runs no call of an executor, so there is no caller to ask "
        "about; call it in the function that was given to to_thread() or the like, on the thread "
        "that runs it, and hand a std::stop_token to threads of your own",
        siding::InvalidStateError);
    ThreadPool pool{{.max_workers = 1}};
    const Future<bool> thread = pool.submit([] {
      bool refused = false;
      std::thread([&] { refused = is_refused(); }).join();
      return refused;
    });
    CHECK(thread.get(hang_limit));

    // A done-callback runs on the worker too, but the call is over.
    Gate gate;
    bool refused = false;
    const Future<> call = pool.submit(siding_test::pass, gate.key());
    call.add_done_callback([&] { refused = is_refused(); });
    gate.open();
    pool.shutdown();
    CHECK(refused);
  }

  TEST_CASE("asks about the call on top, where a worker runs one in place of waiting for it") {
    ThreadPool pool{{.max_workers = 1}};
    bool inner_was_cancelled = true;
    Gate begun;
    Gate cancelled;
    Gate heard;
    siding::run([&]() -> Task<> {
      auto call = siding::run_in_executor(pool, [&] {
        siding_test::pass(begun.key());
        siding_test::pass(cancelled.key());
        inner_was_cancelled = pool.submit([] {
                                    try {
                                      siding::check_cancelled();
                                    } catch (const siding::Cancelled&) {
                                      return true;
                                    }
                                    return false;
                                  }).get();
        ask_until_cancelled(begun.key(), heard.key());
      });
      begun.wait_for_arrivals(1);
      begun.open();
      call.cancel();
      cancelled.open();
      heard.wait_for_arrivals(1);
      co_return;
    });
    pool.shutdown();
    CHECK_FALSE(inner_was_cancelled);
  }

  // RX-011
  TEST_CASE("works in a process, for a function that takes a token") {
    ProcessPool pool{{.max_workers = 1, .cancel_grace = hang_limit}};
    cancel_while_running(
        [&](GateKey begun, GateKey heard) -> Task<> {
          co_await siding::offload(pool, ask_in_process, begun, heard);
        },
        true);
    CHECK(pool.submit(sum_of_squares, 10L).get(hang_limit) == 285);
    // The worker's own thread runs no call between two calls; a thread of the function's never does.
    const Future<bool> thread = pool.submit([] {
      bool refused = false;
      std::thread([&refused] { refused = is_refused(); }).join();
      return refused;
    });
    CHECK(thread.get(hang_limit));
  }
}

}  // namespace siding_test::check_cancelled_test
