// SPDX-License-Identifier: MIT
// How many workers a thread pool has while it lives, and how large their stacks are.
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"

namespace siding_test::thread_pool_size_test {

using namespace std::chrono_literals;
using siding::Future;
using siding::ThreadPool;
using siding::ThreadPoolOptions;
using siding_test::becomes_true;
using siding_test::count_threads;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::LeakGuard;
using siding_test::pass;
using Names = std::vector<std::string>;

// As many calls at once as `count`: the names of the workers that run them.
Names burst(ThreadPool& pool, int count) {
  Gate gate;
  std::vector<Future<std::string>> calls;
  for (int i = 0; i < count; ++i) {
    calls.push_back(pool.submit([key = gate.key()] {
      pass(key);
      return std::string(ThreadPool::current_worker_name());
    }));
  }
  gate.wait_for_arrivals(count);
  gate.open();
  Names names;
  for (const auto& call : calls)
    names.push_back(call.get(hang_limit));
  std::sort(names.begin(), names.end());
  return names;
}

std::size_t stack_size_of_this_thread() {
  pthread_attr_t attributes;
  ::pthread_getattr_np(::pthread_self(), &attributes);
  void* address = nullptr;
  std::size_t size = 0;
  ::pthread_attr_getstack(&attributes, &address, &size);
  ::pthread_attr_destroy(&attributes);
  return size;
}

// A sanitizer makes small stacks larger, to have room for itself.
bool is_as_asked(std::size_t size, std::size_t asked) {
  return SIDING_SANITIZED ? size >= asked : size == asked;
}

TEST_SUITE("ThreadPool") {
  // TP-007
  TEST_CASE("surplus workers end after idle_timeout, and later calls make them anew") {
    const LeakGuard guard;
    const std::size_t before = count_threads();
    ThreadPool pool{{.max_workers = 4,
                     .thread_name_prefix = "pool",
                     .idle_timeout = 20ms,
                     .min_workers = 1}};

    const Names all{"pool_0", "pool_1", "pool_2", "pool_3"};
    CHECK(burst(pool, 4) == all);
    CHECK(becomes_true([&] { return pool.worker_count() == 1; }));
    CHECK(becomes_true([&] { return count_threads() == before + 1; }));
    CHECK(pool.statistics().workers == 1);
    CHECK(pool.statistics().idle == 1);
    CHECK(burst(pool, 4) == all);
    CHECK(pool.worker_count() <= 4);
    CHECK(becomes_true([&] { return pool.statistics().completed == 8; }));
  }

  // TP-007
  TEST_CASE("without min_workers none is left, and the first to come is the first by name again") {
    const LeakGuard guard;
    const std::size_t before = count_threads();
    ThreadPool pool{{.max_workers = 2, .thread_name_prefix = "pool", .idle_timeout = 0ns}};

    for (int round = 0; round < 3; ++round) {
      CHECK(burst(pool, 2) == Names{"pool_0", "pool_1"});
      CHECK(becomes_true([&] { return count_threads() == before; }));
      CHECK(pool.worker_count() == 0);
      CHECK(burst(pool, 1) == Names{"pool_0"});
    }
  }

  TEST_CASE("without idle_timeout workers stay") {
    ThreadPool pool{{.max_workers = 2}};

    burst(pool, 2);

    CHECK(becomes_true([&] { return pool.statistics().idle == 2; }));
    CHECK(pool.worker_count() == 2);
  }

  // TP-007
  TEST_CASE("no call is lost between a worker that is just ending and a submit") {
    for (const std::chrono::nanoseconds idle : {0ns, 1'000ns, 30'000ns}) {
      constexpr int calls = 2000 / siding_test::slowness;
      ThreadPool pool{{.max_workers = 2, .spin = 0ns, .idle_timeout = idle}};
      std::atomic<int> wrong{0};
      const auto use = [&] {
        for (int n = 0; n < calls; ++n) {
          if (pool.submit([n] { return n; }).get(hang_limit) != n) ++wrong;
        }
      };
      std::thread other(use);
      use();
      other.join();

      CHECK(wrong == 0);
      // Two that block one another's worker must have one each, whatever ended just now.
      for (int round = 0; round < 100; ++round)
        burst(pool, 2);
      pool.shutdown();
      CHECK(pool.statistics().completed == 2 * calls + 200);
      CHECK(pool.statistics().workers == 0);
    }
  }

  TEST_CASE("a pool ends well whose workers are just ending by themselves") {
    const LeakGuard guard;
    for (int round = 0; round < 200; ++round) {
      ThreadPool pool{{.max_workers = 3, .spin = 0ns, .idle_timeout = 0ns}};
      for (int i = 0; i < 3; ++i)
        pool.submit([] {});
      if (round % 2 == 0) CHECK(pool.shutdown({.timeout = hang_limit}));
    }
  }

  // TP-011
  TEST_CASE("the maximum can be raised and lowered while calls run, and none is lost") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    std::vector<Future<>> calls;
    for (int i = 0; i < 8; ++i)
      calls.push_back(pool.submit(pass, gate.key()));
    gate.wait_for_arrivals(2);
    CHECK(gate.arrivals() == 2);

    pool.set_max_workers(4);
    CHECK(pool.max_workers() == 4);
    gate.wait_for_arrivals(4);
    CHECK(pool.worker_count() == 4);
    gate.open();
    for (const auto& call : calls)
      call.get(hang_limit);

    pool.set_max_workers(1);
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    calls.clear();
    for (int i = 0; i < 4; ++i) {
      calls.push_back(pool.submit([&] {
        most = std::max<int>(most, ++inside);
        std::this_thread::yield();
        --inside;
      }));
    }
    for (const auto& call : calls)
      call.get(hang_limit);
    CHECK(most == 1);
    CHECK(becomes_true([&] { return pool.worker_count() == 1; }));
    pool.shutdown();
    CHECK(pool.statistics().completed == 12);
  }

  // TP-011
  TEST_CASE("lowering the maximum ends idle workers at once and busy ones after their calls") {
    ThreadPool pool{{.max_workers = 4}};
    burst(pool, 4);
    CHECK(becomes_true([&] { return pool.statistics().idle == 4; }));
    pool.set_max_workers(3);
    CHECK(pool.worker_count() == 3);

    Gate first;
    Gate second;
    std::vector<Future<>> calls;
    for (int i = 0; i < 3; ++i)
      calls.push_back(pool.submit(pass, first.key()));
    first.wait_for_arrivals(3);
    pool.set_max_workers(1);
    for (int i = 0; i < 3; ++i)
      calls.push_back(pool.submit(pass, second.key()));
    CHECK(pool.worker_count() == 3);
    first.open();
    second.wait_for_arrivals(1);
    CHECK(becomes_true([&] { return pool.worker_count() == 1; }));
    CHECK(pool.statistics().queued == 2);
    second.open();
    for (const auto& call : calls)
      call.get(hang_limit);
  }

  TEST_CASE("raising the maximum lets those go on that wait for room in the queue") {
    ThreadPool pool{{.max_workers = 1, .queue_limit = 1}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    pool.submit(pass, gate.key());
    std::thread blocked([&] { pool.submit(pass, gate.key()); });
    CHECK(becomes_true([&] { return pool.statistics().queued == 1; }));

    pool.set_max_workers(2);

    gate.wait_for_arrivals(2);
    blocked.join();
    gate.open();
  }

  // TP-014
  TEST_CASE("the stack size of workers can be set, in bytes") {
    for (const std::size_t size : {std::size_t{256} << 10, std::size_t{8} << 20}) {
      ThreadPool pool{{.max_workers = 1, .stack_size = size}};
      CHECK(is_as_asked(pool.submit(stack_size_of_this_thread).get(hang_limit), size));
    }
    ThreadPool uneven{{.max_workers = 1, .stack_size = (std::size_t{256} << 10) + 1}};
    const std::size_t page = 4096;
    CHECK(is_as_asked(uneven.submit(stack_size_of_this_thread).get(hang_limit),
                      (std::size_t{256} << 10) + page));
  }

  // TP-014
  TEST_CASE("sizes that make no sense are refused, with what to do") {
    CHECK_THROWS_WITH_AS(ThreadPool{{.stack_size = 1000}},
                         "ThreadPoolOptions::stack_size is 1000 bytes, and a thread needs 16384 "
                         "before it calls anything; raise it, or leave it out for the system's "
                         "default",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS((ThreadPool{{.max_workers = 2, .min_workers = 3}}),
                         "ThreadPoolOptions::min_workers is 3, and the pool has 2 workers at most; "
                         "lower it, or raise max_workers",
                         std::invalid_argument);
    ThreadPool pool{{.max_workers = 2}};
    CHECK_THROWS_WITH_AS(pool.set_max_workers(0),
                         "set_max_workers: a thread pool needs at least 1 worker, or no call would "
                         "run; shut it down to have none",
                         std::invalid_argument);
    CHECK(pool.max_workers() == 2);
  }
}

}  // namespace siding_test::thread_pool_size_test
