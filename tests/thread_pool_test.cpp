// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/no_threads.hpp"
#include "support/thread_state.hpp"
#include "usable_cpus.hpp"

namespace siding_test::thread_pool_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding_test::becomes_true;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::LeakGuard;
using siding_test::pass;
using siding_test::pass_with;

std::string system_name() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

// What `count` workers of a pool give, each called once.
template <class Fn>
auto in_each_worker(ThreadPool& pool, int count, Fn fn) {
  Gate gate;
  std::vector<Future<decltype(fn())>> calls;
  for (int i = 0; i < count; ++i) {
    calls.push_back(pool.submit([fn, key = gate.key()] {
      pass(key);
      return fn();
    }));
  }
  gate.wait_for_arrivals(count);
  gate.open();
  std::vector<decltype(fn())> values;
  for (auto& call : calls)
    values.push_back(call.get(hang_limit));
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

TEST_SUITE("ThreadPool") {
  TEST_CASE("a pool starts no thread before the first call, and has at least one worker") {
    const LeakGuard guard;
    const std::size_t before = siding_test::count_threads();

    const ThreadPool pool;

    CHECK(siding_test::count_threads() == before);
    CHECK(pool.worker_count() == 0);
    CHECK(pool.max_workers() >= 1);
    CHECK_THROWS_AS(ThreadPool{{.max_workers = 0}}, std::invalid_argument);
  }

  // EX-012
  TEST_CASE("by default there are four workers more than usable CPUs, and at most 32") {
    cpu_set_t before;
    CPU_ZERO(&before);
    REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (std::size_t cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    }
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);

    const ThreadPool pinned;
    ::sched_setaffinity(0, sizeof before, &before);
    const ThreadPool free;

    CHECK(pinned.max_workers() == 5);
    const std::size_t usable = siding::detail::usable_cpus();  // less than CPU_COUNT where there is a quota
    CHECK(usable <= static_cast<std::size_t>(CPU_COUNT(&before)));
    CHECK(free.max_workers() == std::min<std::size_t>(32, 4 + usable));
  }

  // TP-001
  TEST_CASE("an idle worker is used before a new one is made") {
    ThreadPool pool{{.max_workers = 8}};

    std::set<pid_t> threads;
    for (int i = 0; i < 3; ++i) {
      const pid_t thread = pool.submit([] { return ::gettid(); }).get(hang_limit);
      threads.insert(thread);
      CHECK(becomes_true([&] { return siding_test::is_asleep(thread); }));  // it is idle now
    }

    CHECK(threads.size() == 1);
    CHECK(pool.worker_count() == 1);
  }

  // TP-002
  TEST_CASE("a flood makes as many workers as there may be, and no more") {
    const LeakGuard guard;
    const std::size_t before = siding_test::count_threads();
    ThreadPool pool{{.max_workers = 4}};
    Gate gate;
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    std::vector<Future<>> calls;

    for (int i = 0; i < 60; ++i) {
      calls.push_back(pool.submit([&, key = gate.key()] {
        const int now = ++inside;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        pass(key);
        --inside;
      }));
    }
    gate.wait_for_arrivals(4);
    CHECK(pool.worker_count() == 4);
    CHECK(siding_test::count_threads() == before + 4);
    gate.open();
    for (const auto& call : calls)
      call.get(hang_limit);

    CHECK(most == 4);
    CHECK(gate.arrivals() == 60);
    CHECK(pool.worker_count() == 4);
  }

  // TP-003
  TEST_CASE("workers carry the pool's prefix and an index, for us and for the system") {
    ThreadPool pool{{.max_workers = 5, .thread_name_prefix = "Special"}};

    const std::vector<std::string> names{"Special_0", "Special_1", "Special_2", "Special_3",
                                         "Special_4"};
    CHECK(in_each_worker(pool, 5, system_name) == names);
    CHECK(in_each_worker(pool, 5, [] { return std::string(ThreadPool::current_worker_name()); }) ==
          names);
    CHECK(ThreadPool::current_worker_name().empty());
  }

  // TP-003
  TEST_CASE("a long prefix is cut for the system, so that the index stays") {
    ThreadPool pool{{.max_workers = 11, .thread_name_prefix = "image-thumbnails"}};

    const auto cut = in_each_worker(pool, 11, system_name);
    const auto full =
        in_each_worker(pool, 11, [] { return std::string(ThreadPool::current_worker_name()); });

    CHECK(std::set(cut.begin(), cut.end()).size() == 11);
    CHECK(std::count(cut.begin(), cut.end(), "image-thumbna_9") == 1);
    CHECK(std::count(cut.begin(), cut.end(), "image-thumbn_10") == 1);
    CHECK(std::count(full.begin(), full.end(), "image-thumbnails_10") == 1);
  }

  TEST_CASE("pools without a prefix of their own are told apart") {
    const auto name = [] { return std::string(ThreadPool::current_worker_name()); };
    ThreadPool one;
    ThreadPool two;

    const auto first = one.submit(name).get(hang_limit);
    const auto second = two.submit(name).get(hang_limit);

    CHECK(first.starts_with("siding-"));
    CHECK(first.ends_with("_0"));
    CHECK(first != second);
  }

  // TP-004
  TEST_CASE("calls run on a few threads of the pool and never on the caller's") {
    ThreadPool pool{{.max_workers = 3}};
    std::vector<Future<std::thread::id>> calls;

    for (int i = 0; i < 6; ++i)
      calls.push_back(pool.submit([] { return std::this_thread::get_id(); }));
    std::set<std::thread::id> threads;
    for (const auto& call : calls)
      threads.insert(call.get(hang_limit));

    CHECK(threads.size() <= 3);
    CHECK(!threads.contains(std::this_thread::get_id()));
  }

  TEST_CASE("one worker runs calls in the order in which they were submitted") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    std::vector<int> order;

    pool.submit(pass, gate.key());
    for (int n = 0; n < 100; ++n)
      pool.submit([&order, n] { order.push_back(n); });
    gate.open();
    pool.shutdown();

    CHECK(order.size() == 100);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }

  TEST_CASE("a call starts although all that were submitted along with it block") {
    for (const std::chrono::microseconds spin : {0us, 20us}) {
      ThreadPool pool{{.max_workers = 4, .spin = spin}};
      // First on workers that are being made, then on workers that are just going idle.
      for (int round = 0; round < 200; ++round) {
        Gate gate;
        std::vector<Future<>> blocked;
        for (int i = 0; i < 3; ++i)
          blocked.push_back(pool.submit(pass, gate.key()));

        CHECK(pool.submit([] { return 1; }).get(hang_limit) == 1);
        gate.open();
        if (round % 2 == 0) pool.submit([] {});
        for (const auto& call : blocked)
          call.get(hang_limit);
      }
      CHECK(pool.worker_count() == 4);
    }
  }

  TEST_CASE("a call starts although calls of other threads block") {
    for (int round = 0; round < 50; ++round) {
      ThreadPool pool{{.max_workers = 4}};
      Gate gate;
      std::vector<std::thread> others;
      for (int i = 0; i < 3; ++i)
        others.emplace_back([&] { pool.submit(pass, gate.key()); });

      CHECK(pool.submit([] { return 1; }).get(hang_limit) == 1);
      for (std::thread& other : others)
        other.join();
      CHECK(pool.submit([] { return 2; }).get(hang_limit) == 2);
    }
  }

  TEST_CASE("a call that no thread could be made for waits for the workers that exist" *
            doctest::skip(!siding_test::can_forbid_new_threads())) {
    ThreadPool pool{{.max_workers = 3}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    Future<int> call;

    siding_test::without_new_threads([&] { call = pool.submit([] { return 1; }); });
    CHECK(pool.worker_count() == 1);
    CHECK_FALSE(call.done());

    // The next submit gets a thread again, and that begins with the call that has waited longest.
    pool.submit(pass, gate.key());
    CHECK(call.get(hang_limit) == 1);
  }

  TEST_CASE("a submit throws where not one thread can be made, and the pool stays usable" *
            doctest::skip(!siding_test::can_forbid_new_threads())) {
    Counts counts;
    ThreadPool pool{{.max_workers = 3}};
    std::atomic<bool> ran{false};

    siding_test::without_new_threads([&] {
      CHECK_THROWS_AS(pool.submit([&, counted = Counted(counts)] { ran = true; }),
                      std::system_error);
      CHECK(counts.alive() == 0);
    });
    CHECK(pool.worker_count() == 0);

    CHECK(pool.submit([] { return 1; }).get(hang_limit) == 1);
    CHECK(pool.worker_count() == 1);
    CHECK_FALSE(ran);
  }

  // RX-022
  TEST_CASE("two loops and a plain thread share a pool") {
    constexpr int calls = 1000 / siding_test::slowness;
    ThreadPool pool{{.max_workers = 4}};
    std::atomic<int> wrong{0};
    const auto use = [&] {
      const auto own = std::this_thread::get_id();
      siding::run([&]() -> Task<> {
        for (int n = 0; n < calls; ++n) {
          const int value = co_await siding::offload(
              pool, [](int x) { return x + 1; }, n);
          if (value != n + 1 || std::this_thread::get_id() != own) ++wrong;
        }
      });
    };

    std::thread one(use);
    std::thread two(use);
    for (int n = 0; n < calls; ++n) {
      if (pool.submit([](int x) { return x + 1; }, n).get(hang_limit) != n + 1) ++wrong;
    }
    one.join();
    two.join();

    CHECK(wrong == 0);
  }

  // TP-008
  TEST_CASE("an idle pool uses no CPU") {
    ThreadPool pool{{.max_workers = 8}};
    for (const pid_t thread : in_each_worker(pool, 8, [] { return ::gettid(); })) {
      CHECK(becomes_true([&] { return siding_test::is_asleep(thread); }));
    }
    const auto used = [] {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      const auto time = std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                        std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
      return std::pair(time, usage.ru_nvcsw);
    };

    const auto [time_before, switches_before] = used();
    std::this_thread::sleep_for(200ms);
    const auto [time_after, switches_after] = used();

    CHECK(time_after - time_before < 1ms * siding_test::slowness);
    CHECK(switches_after - switches_before < 8);  // not one for each worker
  }
}

}  // namespace siding_test::thread_pool_test
