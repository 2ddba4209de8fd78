// SPDX-License-Identifier: MIT
// How process pools end, what they tell of themselves, and queues with a bound.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_close_test {
namespace {

using namespace std::chrono_literals;
using Pool = PoolSubject;

int own_pid() { return ::getpid(); }
int square(int n) { return n * n; }
int pass_and_pid(GateKey key) {
  pass(key);
  return ::getpid();
}
int pause_for_ever(GateKey key) {
  arrive(key);
  for (;;) ::pause();
}

TEST_SUITE("ProcessPool: its end") {
  TEST_CASE("close() lets everything end without blocking the loop") {
    const Pool pool(1);
    Gate gate;
    siding::run([](siding::ProcessPool& processes, Gate& open) -> siding::Task<> {
      siding::Future<int> running = siding::run_in_executor(processes, pass_with, open.key(), 1);
      siding::Future<int> queued = siding::run_in_executor(processes, square, 3);
      siding::Future<void> closed = processes.close();
      CHECK_THROWS_AS(processes.submit(square, 4), siding::ShutdownError);
      co_await siding::yield();  // the loop goes on
      CHECK_FALSE(closed.done());
      open.open();
      co_await closed;
      CHECK(processes.worker_count() == 0);
      CHECK(co_await running == 1);
      CHECK(co_await queued == 9);
      co_await processes.close();  // again: at once
    }(*pool, gate));
    CHECK_FALSE(pool->healthy());
  }

  TEST_CASE("close() can cancel what no worker has begun") {
    const Pool pool(1);
    Gate gate;
    siding::run([](siding::ProcessPool& processes, Gate& open) -> siding::Task<> {
      siding::Future<int> running = siding::run_in_executor(processes, pass_with, open.key(), 1);
      open.wait_for_arrivals(1);
      siding::Future<int> ahead = siding::run_in_executor(processes, square, 3);
      siding::Future<int> queued = siding::run_in_executor(processes, square, 4);
      siding::Future<void> closed = processes.close({.cancel_pending = true});
      open.open();
      co_await closed;
      CHECK(co_await running == 1);
      CHECK(ahead.cancelled());
      CHECK(queued.cancelled());
    }(*pool, gate));
  }

  TEST_CASE("close() with a limit names what is stuck, and the pool can be killed then") {
    const Pool pool(1);
    Gate gate;
    siding::run([](siding::ProcessPool& processes, Gate& arrived) -> siding::Task<> {
      siding::Future<int> stuck = processes.submit({.name = "solve"}, pause_for_ever, arrived.key());
      arrived.wait_for_arrivals(1);
      std::string text;
      try {
        co_await processes.close({.timeout = 20ms});
      } catch (const siding::TimeoutError& error) {
        text = error.what();
      }
      CHECK(text.find("has not ended in time: still running: solve") != std::string::npos);
      processes.kill();
      co_await processes.close();
      CHECK(stuck.cancelled());
    }(*pool, gate));
  }

  TEST_CASE("plain threads may wait for close() too, and whoever gives it up changes nothing") {
    const Pool pool(1);
    CHECK(value_of(pool->submit(square, 3)) == 9);
    siding::Future<void> given_up = pool->close();
    given_up.cancel();
    pool->close().get();
    CHECK(pool->worker_count() == 0);
  }

  // PP-014
  TEST_CASE("kill() ends every worker, what was unfinished is cancelled, and no more is taken") {
    const Pool pool(2);
    Gate never;
    std::vector<siding::Future<int>> running;
    for (int i = 0; i < 2; ++i) running.push_back(pool->submit(pass_and_pid, never.key()));
    never.wait_for_arrivals(2);
    std::vector<siding::Future<int>> queued;
    for (int i = 0; i < 3; ++i) queued.push_back(pool->submit(square, i));

    pool->kill();

    CHECK_THROWS_AS(pool->submit(square, 3), siding::ShutdownError);
    CHECK(pool->shutdown({.timeout = hang_limit}));
    for (const auto& call : running) CHECK(call.cancelled());
    for (const auto& call : queued) CHECK(call.cancelled());
    CHECK(pool->worker_count() == 0);
    CHECK(pool->statistics().crashed == 0);
    pool->kill();  // again: nothing
  }

  TEST_CASE("a pool can be killed at any moment of its workers' start") {
    for (int moment = 0; moment < 30; ++moment) {
      Pool pool({.max_workers = 3, .initializer = [] {}});
      std::vector<siding::Future<int>> calls;
      for (int i = 0; i < 5; ++i) calls.push_back(pool->submit(own_pid));
      std::this_thread::sleep_for(std::chrono::microseconds(100 * moment));
      pool->kill();
      CHECK(pool->shutdown({.timeout = hang_limit}));
      for (const auto& call : calls) CHECK((call.cancelled() || value_of(call) > 0));
    }
  }

  TEST_CASE("statistics tell what a pool does, and did") {
    const Pool pool(1);
    CHECK(pool->statistics().workers == 0);
    CHECK(pool->healthy());
    Gate gate;
    const auto running = pool->submit(pass_and_pid, gate.key());
    gate.wait_for_arrivals(1);
    std::vector<siding::Future<int>> waiting;
    for (int n = 0; n < 4; ++n) waiting.push_back(pool->submit(square, n));
    siding::ProcessPoolStatistics now = pool->statistics();
    CHECK(now.workers == 1);
    CHECK(now.busy == 1);
    CHECK(now.idle == 0);
    CHECK(now.running == 1);
    CHECK(now.queued == 4);
    CHECK(now.completed == 0);
    CHECK(now.started == 1);
    gate.open();
    for (const auto& call : waiting) value_of(call);
    CHECK_THROWS_AS(value_of(pool->submit([]() -> int { throw 3; })), siding::RemoteError);
    CHECK(becomes_true([&] { return pool->statistics().idle == 1; }));
    now = pool->statistics();
    CHECK(now.completed == 5);
    CHECK(now.failed == 1);
    CHECK(now.running == 0);
    CHECK(now.queued == 0);
    CHECK(now.crashed + now.ended + now.retried + now.retired == 0);
  }

  TEST_CASE("a full queue holds up a plain thread until there is room") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.queue_limit = 2;
    const Pool pool(options);
    Gate gate;
    std::vector<siding::Future<int>> calls;
    calls.push_back(pool->submit(pass_with, gate.key(), 1));
    gate.wait_for_arrivals(1);
    for (int n = 0; n < 2; ++n) calls.push_back(pool->submit(square, n));
    std::optional<siding::Future<int>> late;
    std::thread submitter([&] { late = pool->submit(square, 5); });
    CHECK(pool->statistics().queued == 2);
    gate.open();
    submitter.join();
    for (const auto& call : calls) CHECK(value_of(call) >= 0);
    CHECK(value_of(*late) == 25);
  }

  TEST_CASE("a full queue refuses a call where that was asked for, or where it would block a loop") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.queue_limit = 1;
    for (const siding::WhenFull when : {siding::WhenFull::fail, siding::WhenFull::block}) {
      options.when_full = when;
      const Pool pool(options);
      Gate gate;
      const auto running = pool->submit(pass_with, gate.key(), 1);
      gate.wait_for_arrivals(1);
      const auto waiting = pool->submit(square, 3);
      if (when == siding::WhenFull::fail) {
        CHECK_THROWS_WITH_AS(pool->submit(square, 4), doctest::Contains("1 calls wait for a worker"),
                             siding::QueueFull);
      } else {
        siding::run([](siding::ProcessPool& processes) -> siding::Task<> {
          CHECK_THROWS_AS(processes.submit(square, 4), siding::WouldBlockLoop);
          co_return;
        }(*pool));
      }
      gate.open();
      CHECK(value_of(waiting) == 9);
      CHECK(value_of(pool->submit(square, 5)) == 25);
    }
  }

  TEST_CASE("an awaited call waits in a full queue, and others are let in after it") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.queue_limit = 1;
    const Pool pool(options);
    const int sum = siding::run([](siding::ProcessPool& processes) -> siding::Task<int> {
      std::vector<siding::Future<int>> tasks;
      const auto one = [](siding::ProcessPool& where, int n) -> siding::Task<int> {
        co_return co_await siding::offload(where, square, n);
      };
      for (int n = 0; n < 20; ++n) tasks.push_back(siding::create_task(one(processes, n)));
      int total = 0;
      for (siding::Future<int>& task : tasks) total += co_await task;
      co_return total;
    }(*pool));
    CHECK(sum == 2470);
  }

  TEST_CASE("who waits for room is let go when the pool ends") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.queue_limit = 1;
    const Pool pool(options);
    Gate gate;
    const auto running = pool->submit(pause_for_ever, gate.key());
    gate.wait_for_arrivals(1);
    const auto waiting = pool->submit(square, 3);
    std::thread submitter([&] { CHECK_THROWS_AS(pool->submit(square, 5), siding::ShutdownError); });
    pool->kill();
    submitter.join();
    CHECK(pool->shutdown({.timeout = hang_limit}));
    CHECK(waiting.cancelled());
  }
}

}  // namespace
}  // namespace siding_test::process_pool_close_test
