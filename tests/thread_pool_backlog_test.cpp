// SPDX-License-Identifier: MIT
// What waits for a worker: bounded queues, numbers, and workers that wait for their own pool.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"

namespace siding_test::thread_pool_backlog_test {
namespace {

using namespace std::chrono_literals;
using siding::as_completed;
using siding::Future;
using siding::run;
using siding::Task;
using siding::ThreadPool;
using siding::ThreadPoolStatistics;
using siding::wait;
using siding::WhenFull;
using siding_test::becomes_true;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::pass;
using siding_test::pass_with;

int square(int n) { return n * n; }

/// A pool whose one worker is at the gate.
struct BusyPool {
  explicit BusyPool(std::size_t limit, WhenFull when_full)
      : pool{{.max_workers = 1, .queue_limit = limit, .when_full = when_full}},
        blocker(pool.submit(pass, gate.key())) {
    gate.wait_for_arrivals(1);
  }
  ~BusyPool() { gate.open(); }

  Gate gate;
  ThreadPool pool;
  Future<void> blocker;
};

}  // namespace

TEST_SUITE("ThreadPool with a bounded queue") {
  // EX-026
  TEST_CASE("fail: a submit that finds the queue full throws, and its function is dropped") {
    BusyPool busy(2, WhenFull::fail);
    busy.pool.submit(square, 1);
    const auto second = busy.pool.submit(square, 2);

    CHECK_THROWS_AS(busy.pool.submit(square, 3), siding::QueueFull);

    busy.gate.open();
    CHECK(second.get(hang_limit) == 4);
    CHECK(busy.pool.submit(square, 3).get(hang_limit) == 9);
  }

  // EX-026
  TEST_CASE("block: a submit that finds the queue full returns when there is room") {
    BusyPool busy(2, WhenFull::block);
    busy.pool.submit(square, 1);
    busy.pool.submit(square, 2);
    std::atomic<bool> returned{false};
    Future<int> third;
    Gate about_to;

    std::thread submitter([&] {
      siding_test::arrive(about_to.key());
      third = busy.pool.submit(square, 3);
      returned = true;
    });
    about_to.wait_for_arrivals(1);
    CHECK_FALSE(returned);
    CHECK(busy.pool.statistics().queued == 2);
    busy.gate.open();
    submitter.join();

    CHECK(third.get(hang_limit) == 9);
  }

  // EX-026
  TEST_CASE("a call that a task awaits waits in the queue, whatever its length") {
    BusyPool busy(1, WhenFull::block);
    run([&]() -> Task<> {
      std::vector<Future<int>> calls;
      for (int n = 0; n < 4; ++n) {
        calls.push_back(siding::create_task([&busy, n]() -> Task<int> {
          const auto mode = n % 2 == 0 ? siding::OnCancel::wait : siding::OnCancel::abandon;
          const int result = co_await siding::offload(busy.pool, {.on_cancel = mode}, square, n);
          co_return result;
        }));
      }
      co_await siding::yield();
      CHECK(busy.pool.statistics().queued == 4);
      // What does not wait would have to block the loop.
      CHECK_THROWS_AS(siding::run_in_executor(busy.pool, square, 1), siding::WouldBlockLoop);

      busy.gate.open();
      int sum = 0;
      for (auto& call : calls) sum += co_await call;
      CHECK(sum == 14);
    });
  }

  TEST_CASE("fail: a call that a task awaits is refused as well") {
    BusyPool busy(1, WhenFull::fail);
    busy.pool.submit(square, 1);
    run([&]() -> Task<> {
      bool refused = false;
      try {
        co_await siding::offload(busy.pool, square, 1);
      } catch (const siding::QueueFull&) {
        refused = true;
      }
      CHECK(refused);
    });
  }

  TEST_CASE("the limit is for calls that wait: workers that can be made are made first") {
    ThreadPool pool{{.max_workers = 3, .queue_limit = 1, .when_full = WhenFull::fail}};
    Gate gate;
    for (int i = 0; i < 4; ++i)
      pool.submit(pass, gate.key());
    gate.wait_for_arrivals(3);

    CHECK_THROWS_AS(pool.submit(pass, gate.key()), siding::QueueFull);
    gate.open();
  }

  TEST_CASE("block: a worker of the pool is refused, since it would wait for itself") {
    ThreadPool pool{{.max_workers = 1, .queue_limit = 1}};
    const auto fill = [&pool] {
      pool.submit(square, 1);
      pool.submit(square, 2);
    };
    CHECK_THROWS_AS(pool.submit(fill).get(hang_limit), siding::QueueFull);
  }

  TEST_CASE("block: a shutdown wakes those that wait for room, and withdrawing makes some") {
    BusyPool busy(1, WhenFull::block);
    busy.pool.submit(square, 1);
    std::array<std::thread, 3> submitters;
    std::atomic<int> refused{0};
    Gate about_to;
    for (std::thread& submitter : submitters) {
      submitter = std::thread([&] {
        siding_test::arrive(about_to.key());
        try {
          busy.pool.submit(square, 3);
        } catch (const siding::ShutdownError&) {
          ++refused;
        }
      });
    }
    about_to.wait_for_arrivals(3);
    busy.pool.shutdown({.wait = false});
    for (std::thread& submitter : submitters)
      submitter.join();

    CHECK(refused == 3);
  }

  TEST_CASE("many threads at a small queue lose nothing") {
    ThreadPool pool{{.max_workers = 2, .queue_limit = 2}};
    std::atomic<int> sum{0};
    std::vector<std::thread> users;
    for (int i = 0; i < 4; ++i) {
      users.emplace_back([&] {
        for (int n = 0; n < 200; ++n)
          pool.submit([&sum] { ++sum; });
      });
    }
    for (std::thread& user : users)
      user.join();
    pool.shutdown();

    CHECK(sum == 800);
  }
}

TEST_SUITE("ThreadPool::statistics") {
  // EX-027
  TEST_CASE("tells what the workers do, what waits, and what has ended") {
    ThreadPool pool{{.max_workers = 2}};
    CHECK(pool.statistics().workers == 0);
    Gate gate;
    for (int n = 0; n < 5; ++n)
      pool.submit(pass, gate.key());
    gate.wait_for_arrivals(2);

    ThreadPoolStatistics now = pool.statistics();
    CHECK(now.workers == 2);
    CHECK(now.busy == 2);
    CHECK(now.idle == 0);
    CHECK(now.queued == 3);
    CHECK(now.completed == 0);

    gate.open();
    CHECK(becomes_true([&pool] { return pool.statistics().idle == 2; }));
    now = pool.statistics();
    CHECK(now.busy == 0);
    CHECK(now.queued == 0);
    CHECK(now.completed == 5);
    CHECK(now.failed == 0);
  }

  // EX-027
  TEST_CASE("counts calls that threw as failed, and those that were cancelled not at all") {
    BusyPool busy(0, WhenFull::block);
    const auto failing = busy.pool.submit([](int) -> int { throw std::out_of_range("far"); }, 1);
    const auto cancelled = busy.pool.submit(square, 1);
    cancelled.cancel();
    run([&]() -> Task<> {
      const auto awaited = siding::create_task([&busy]() -> Task<bool> {
        try {
          co_await siding::offload(busy.pool, [] { throw std::out_of_range("far"); });
        } catch (const std::out_of_range&) {
          co_return true;
        }
        co_return false;
      });
      co_await siding::yield();
      busy.gate.open();
      const bool threw = co_await awaited;
      CHECK(threw);
    });
    busy.pool.shutdown();

    const ThreadPoolStatistics now = busy.pool.statistics();
    CHECK(now.completed == 1);
    CHECK(now.failed == 2);
    CHECK(now.workers == 0);
    CHECK(failing.exception() != nullptr);
  }

  TEST_CASE("the greatest limit there can be is no limit") {
    siding::ThreadPool pool({.max_workers = 1, .queue_limit = std::numeric_limits<std::size_t>::max()});

    CHECK(pool.submit([] { return 7; }).get() == 7);
  }
}

TEST_SUITE("ThreadPool whose workers wait for it") {
  // TP-005
  TEST_CASE("a worker that waits for a call queued on its own full pool runs it itself") {
    ThreadPool pool{{.max_workers = 1}};
    const auto outer = pool.submit([&pool] {
      const auto here = std::this_thread::get_id();
      CHECK(pool.submit([] { return std::this_thread::get_id(); }).get() == here);
      CHECK_THROWS_AS(pool.submit([]() -> int { throw std::out_of_range("far"); }).get(),
                      std::out_of_range);
      return pool.submit(square, 3).get();
    });

    CHECK(outer.get(hang_limit) == 9);
  }

  // TP-005
  TEST_CASE("so do wait, as_completed and map, and calls nested in calls") {
    ThreadPool pool{{.max_workers = 1}};
    const auto outer = pool.submit([&pool] {
      const auto submit_three = [&pool] {
        std::vector<Future<int>> calls;
        for (int n = 1; n <= 3; ++n)
          calls.push_back(pool.submit([&pool, n] { return pool.submit(square, n).get(); }));
        return calls;
      };
      int sum = 0;
      for (const auto& call : wait(submit_three()).get().done)
        sum += call.result();
      for (auto next : as_completed(submit_three()))
        sum += next.get().result();
      for (const bool unordered : {false, true}) {
        for (const int value : pool.map({.unordered = unordered}, square, std::vector{1, 2, 3}))
          sum += value;
      }
      const auto calls = submit_three();
      CHECK(wait(calls, {.return_when = siding::ReturnWhen::first_completed}).get().done.size() >= 1);
      CHECK(wait(calls).get().pending.empty());
      return sum;
    });

    CHECK(outer.get(hang_limit) == 4 * 14);
  }

  // TP-005
  TEST_CASE("with a limit the wait ends with it, and the call runs later") {
    ThreadPool pool{{.max_workers = 1}};
    const auto outer = pool.submit([&pool] {
      const auto inner = pool.submit(square, 3);
      CHECK_THROWS_AS(inner.get(1ms), siding::TimeoutError);
      return inner;
    });

    CHECK(outer.get(hang_limit).get(hang_limit) == 9);
  }

  // TP-005
  TEST_CASE("a worker runs nothing else in place of waiting, and nothing of another pool") {
    ThreadPool pool{{.max_workers = 2}};
    ThreadPool other{{.max_workers = 1}};
    Gate gate;
    const auto blocker = other.submit(pass_with, gate.key(), 0);
    std::thread::id ran_in;
    const auto outer = pool.submit([&] {
      const auto unrelated = pool.submit(square, 1);
      const auto queued = other.submit([] { return std::this_thread::get_id(); });
      std::thread opener([&gate] { gate.open(); });
      ran_in = queued.get();
      opener.join();
      return std::this_thread::get_id();
    });

    const auto worker = outer.get(hang_limit);

    CHECK(ran_in != worker);
    CHECK(blocker.get(hang_limit) == 0);
  }
}

}  // namespace siding_test::thread_pool_backlog_test
