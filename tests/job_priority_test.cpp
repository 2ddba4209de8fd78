// SPDX-License-Identifier: MIT
// CallOptions::priority: which of the calls that wait for a worker starts next.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/held_executor.hpp"
#include "support/limits.hpp"
#include "support/turns.hpp"

namespace siding_test::job_priority_test {

using siding::Future;
using siding::OnCancel;
using siding::ProcessPool;
using siding::Task;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::HeldExecutor;
using siding_test::pass;
using siding_test::turns;

/// A pool whose one worker is held up, until the order of what is queued is asked for.
struct HeldUp {
  HeldUp() {
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
  }
  void submit(int priority, int number) {
    pool.submit({.priority = priority}, [this, number] { order.push_back(number); });
  }
  std::vector<int> order_of_starts() {
    gate.open();
    pool.shutdown();
    return order;
  }

  Gate gate;
  std::vector<int> order;  // the worker's
  ThreadPool pool{{.max_workers = 1}};
};

TEST_SUITE("CallOptions::priority") {
  // EX-028
  TEST_CASE("calls of higher priority start first, and equal ones in their order") {
    HeldUp held;
    held.submit(0, 'a');
    held.submit(0, 'b');
    held.submit(5, 'c');

    CHECK(held.order_of_starts() == std::vector<int>{'c', 'a', 'b'});
  }

  // EX-028
  TEST_CASE("any number is a priority, and whatever has none is between the others") {
    HeldUp held;
    std::vector<std::pair<int, int>> expected;
    const int priorities[] = {0, -3, 7, INT_MAX, 0, INT_MIN, 7, -3, 1, 0, INT_MIN, INT_MAX, 2, -1};
    for (int number = 0; const int priority : priorities) {
      held.submit(priority, number);
      expected.emplace_back(priority, number++);
    }
    CHECK(held.pool.statistics().queued == expected.size());
    std::sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });

    const std::vector<int> order = held.order_of_starts();

    REQUIRE(order.size() == expected.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      CHECK(order[i] == expected[i].second);
  }

  TEST_CASE("queued calls of every priority can be cancelled, one by one and with the pool") {
    HeldUp held;
    siding::run([&]() -> Task<> {
      std::vector<Future<>> tasks;
      for (const int priority : {-1, 0, 1}) {
        tasks.push_back(siding::create_task(
            siding::offload(held.pool, {.priority = priority}, [] { FAIL("it was cancelled"); })));
      }
      co_await turns(2);
      CHECK(held.pool.statistics().queued == 3);
      for (const Future<>& task : tasks)
        task.cancel();
      CHECK(held.pool.statistics().queued == 0);
      co_await turns(2);
      for (const Future<>& task : tasks)
        CHECK(task.cancelled());
    });
    std::vector<Future<>> calls;
    for (const int priority : {-1, 0, 1})
      calls.push_back(held.pool.submit({.priority = priority}, [] { FAIL("it was cancelled"); }));

    held.pool.shutdown({.wait = false, .cancel_pending = true});

    for (const Future<>& call : calls)
      CHECK(call.cancelled());
    CHECK(held.order_of_starts().empty());
  }

  TEST_CASE("an executor of a user's own sees the priority of each call, however it was made") {
    HeldExecutor executor;
    siding::run([&]() -> Task<> {
      executor.submit([] {});
      executor.submit({.priority = 1}, [] {});
      siding::run_in_executor(executor, {.priority = 2}, [] {});
      const Future<> waits =
          siding::create_task(siding::offload(executor, {.priority = 3}, [] {}));
      const Future<> abandons = siding::create_task(
          siding::offload(executor, {.on_cancel = OnCancel::abandon, .priority = 4}, [] {}));
      co_await turns(2);
      for (int priority = 0; priority <= 4; ++priority) {
        siding::Job job = executor.take();
        CHECK(job.priority() == priority);
        job.run();
      }
      co_await waits;
      co_await abandons;
    });
  }

  TEST_CASE("a process pool goes by it too, but for the call that it has sent to a busy worker") {
    std::mutex mutex;
    std::string order;
    {
      ProcessPool pool{{.max_workers = 1}};
      Gate gate;
      pool.submit(pass, gate.key());
      gate.wait_for_arrivals(1);
      // The first lies in the worker's memory, so that the worker need not wait for it.
      const std::pair<char, int> calls[] = {{'a', 0}, {'b', 0}, {'c', -1}, {'d', 5}};
      for (const auto& [name, priority] : calls) {
        const Future<> call = pool.submit({.priority = priority}, [] {});
        call.add_done_callback([&, letter = name] {
          const std::lock_guard lock(mutex);
          order += letter;
        });
      }
      gate.open();
    }
    CHECK(order == "adbc");
  }
}

}  // namespace siding_test::job_priority_test
