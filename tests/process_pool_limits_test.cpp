// SPDX-License-Identifier: MIT
// Calls that may run, or wait, for a time only.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_limits_test {
namespace {

using namespace std::chrono_literals;
using Pool = PoolSubject;

// A limit that passes, and one that does not.
constexpr std::chrono::milliseconds brief = 50ms * slowness;
constexpr std::chrono::minutes ample{10};

int own_pid() { return ::getpid(); }
int square(int n) { return n * n; }

int spin_for_ever(GateKey key) {
  arrive(key);
  for (;;) ::getppid();
}

int pause_for_ever(GateKey key) {
  arrive(key);
  for (;;) ::pause();
}

/// Returns when it is asked to stop.
int stop_when_asked(std::stop_token token, GateKey key) {
  arrive(key);
  while (!token.stop_requested()) std::this_thread::yield();
  return 7;
}

int throw_when_asked(std::stop_token token) {
  while (!token.stop_requested()) std::this_thread::yield();
  throw std::runtime_error("stopped");
}

/// Takes a token and does not look at it.
int ignore_token(std::stop_token, GateKey key) { return pause_for_ever(key); }

/// Writes down that it got SIGTERM, and has to be killed.
int resist(GateKey asked, GateKey key) {
  sigset_t term;
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &term, nullptr);
  arrive(key);
  int signal = 0;
  ::sigwait(&term, &signal);
  arrive(asked);
  for (;;) ::pause();
}

bool gone(int pid) { return ::kill(pid, 0) != 0; }

TEST_SUITE("ProcessPool: limits of calls") {
  // PP-011
  TEST_CASE("a call that runs for too long fails with TimeoutError, and nothing else does") {
    const Pool pool(2);
    Gate gate;
    const auto late = pool->submit({.name = "spin", .run_limit = brief}, spin_for_ever, gate.key());
    gate.wait_for_arrivals(1);
    std::vector<siding::Future<int>> others;
    for (int n = 0; n < 10; ++n) others.push_back(pool->submit(square, n));

    CHECK_THROWS_WITH_AS(value_of(late), doctest::Contains("spin ran for longer than its run_limit of"),
                         siding::TimeoutError);
    for (int n = 0; n < 10; ++n) CHECK(value_of(others[static_cast<std::size_t>(n)]) == n * n);
    CHECK(pool->statistics().ended == 1);
    CHECK(pool->statistics().crashed == 0);
    CHECK(pool->healthy());
  }

  // PP-011
  TEST_CASE("the worker of a call that ran for too long is gone, and replaced when it is needed") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    Gate gate;
    const auto late = pool->submit({.run_limit = brief}, pause_for_ever, gate.key());
    CHECK_THROWS_AS(value_of(late), siding::TimeoutError);
    CHECK(gone(pid));
    CHECK(value_of(pool->submit(own_pid)) != pid);
    CHECK(pool->worker_count() == 1);
  }

  // PP-012
  TEST_CASE("the limit counts from when the function begins") {
    const Pool pool(1);
    Gate gate;
    const auto first = pool->submit(pass_with, gate.key(), 1);
    gate.wait_for_arrivals(1);
    // It waits in the worker's memory, and for longer than it may run.
    const auto second = pool->submit({.run_limit = brief}, square, 3);
    std::this_thread::sleep_for(2 * brief);
    gate.open();
    CHECK(value_of(first) == 1);
    CHECK(value_of(second) == 9);
  }

  // PP-012
  TEST_CASE("a call that waits for too long fails, and is never made") {
    const Pool pool(1);
    Gate gate;
    const auto first = pool->submit(pass_with, gate.key(), 1);
    gate.wait_for_arrivals(1);
    Gate never;
    std::vector<siding::Future<int>> waiting;
    // One in the worker's memory, the others in the queue.
    for (int i = 0; i < 4; ++i) {
      waiting.push_back(
          pool->submit({.name = "parse", .queue_limit = brief}, pass_with, never.key(), 2));
    }
    for (const auto& call : waiting) {
      CHECK_THROWS_WITH_AS(
          value_of(call),
          doctest::Contains("no worker process was free for parse within its queue_limit of"),
          siding::TimeoutError);
    }
    CHECK(never.arrivals() == 0);
    gate.open();
    CHECK(value_of(first) == 1);
    CHECK(value_of(pool->submit(square, 4)) == 16);
    CHECK(never.arrivals() == 0);
  }

  TEST_CASE("limits that do not pass change nothing") {
    const Pool pool(2);
    std::vector<siding::Future<int>> calls;
    for (int n = 0; n < 1000; ++n) {
      calls.push_back(
          pool->submit({.run_limit = ample, .queue_limit = ample, .retries = 2}, square, n));
    }
    for (int n = 0; n < 1000; ++n) CHECK(value_of(calls[static_cast<std::size_t>(n)]) == n * n);
    CHECK(pool->statistics().completed == 1000);
  }

  TEST_CASE("a function that takes a stop_token is asked first, and its worker lives") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.cancel_grace = hang_limit;
    const Pool pool(options);
    const int pid = value_of(pool->submit(own_pid));
    Gate gate;
    const auto asked = pool->submit({.name = "asked", .run_limit = brief}, stop_when_asked, gate.key());
    CHECK_THROWS_WITH_AS(value_of(asked), doctest::Contains("asked ran for longer than"),
                         siding::TimeoutError);
    const auto threw = pool->submit({.run_limit = brief}, throw_when_asked);
    CHECK_THROWS_AS(value_of(threw), siding::TimeoutError);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("a function that does not look at its stop_token is ended after the grace") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.cancel_grace = brief;
    const Pool pool(options);
    Gate gate;
    const auto late = pool->submit({.run_limit = brief}, ignore_token, gate.key());
    CHECK_THROWS_AS(value_of(late), siding::TimeoutError);
    CHECK(value_of(pool->submit(square, 2)) == 4);
  }

  TEST_CASE("a worker that handles SIGTERM gets it first, and SIGKILL after its time") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.kill_grace = brief;
    const Pool pool(options);
    Gate asked;
    Gate gate;
    const auto late = pool->submit({.run_limit = brief}, resist, asked.key(), gate.key());
    asked.wait_for_arrivals(1);
    CHECK_THROWS_AS(value_of(late), siding::TimeoutError);
    CHECK(value_of(pool->submit(square, 2)) == 4);
  }

  TEST_CASE("a task that is cancelled while its call has limits is cancelled") {
    const Pool pool(1);
    Gate gate;
    siding::run([](siding::ProcessPool& processes, Gate& arrived) -> siding::Task<> {
      siding::Future<int> call = siding::run_in_executor(
          processes, {.run_limit = ample, .queue_limit = ample, .retries = 3}, pause_for_ever,
          arrived.key());
      arrived.wait_for_arrivals(1);
      CHECK(call.cancel());
      std::vector<siding::Future<int>> calls;
      calls.push_back(call);
      co_await siding::wait(calls);
      CHECK(call.cancelled());
    }(*pool, gate));
    CHECK(value_of(pool->submit(square, 5)) == 25);
    CHECK(pool->statistics().retried == 0);
  }

  TEST_CASE("where no call can be ended, limits are refused") {
    siding::ThreadPool threads{{.max_workers = 1}};
    for (const siding::CallOptions& options :
         {siding::CallOptions{.run_limit = ample}, siding::CallOptions{.queue_limit = ample},
          siding::CallOptions{.retries = 1}}) {
      CHECK_THROWS_WITH_AS(threads.submit(options, square, 2),
                           doctest::Contains("need an executor that can end a call"),
                           std::invalid_argument);
    }
    siding::run([]() -> siding::Task<> {
      bool refused = false;
      try {
        co_await siding::to_thread({.run_limit = ample}, square, 2);
      } catch (const std::invalid_argument&) {
        refused = true;
      }
      CHECK(refused);
      CHECK(co_await siding::to_thread(square, 3) == 9);
    }());
  }

  TEST_CASE("an awaited call has limits too") {
    const Pool pool(1);
    Gate gate;
    const int late = siding::run([](siding::ProcessPool& processes, GateKey key) -> siding::Task<int> {
      int count = 0;
      for (const siding::OnCancel how : {siding::OnCancel::wait, siding::OnCancel::abandon}) {
        try {
          co_await siding::offload(processes, {.on_cancel = how, .run_limit = brief}, pause_for_ever,
                                   key);
        } catch (const siding::TimeoutError&) {
          ++count;
        }
      }
      co_return count;
    }(*pool, gate.key()));
    CHECK(late == 2);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_limits_test
