// SPDX-License-Identifier: MIT
// What awaiting a process pool promises of every executor: when calls start, and how results wake
// the loop.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "support/thread_state.hpp"
#include "support/turns.hpp"

namespace siding_test::process_pool_await_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::EventLoop;
using siding::Future;
using siding::offload;
using siding::run_in_executor;
using siding::Task;

using Pool = PoolSubject;

int add(int a, int b) { return a + b; }
int own_pid() { return ::getpid(); }

std::unique_ptr<int> add_to(std::unique_ptr<int> number, int n) {
  *number += n;
  return number;
}

// The monotonic clock, which all processes share, when the thread has gone to sleep.
std::int64_t clock_when_asleep(pid_t process, pid_t thread) {
  while (!is_asleep(thread, process)) std::this_thread::yield();
  return Clock::now().time_since_epoch().count();
}

}  // namespace

TEST_SUITE("awaiting a process pool") {
  // RX-005
  TEST_CASE("arguments and results that can only be moved cross too") {
    const Pool pool(1);
    siding::run([&]() -> Task<> {
      auto awaited = co_await offload(*pool, add_to, std::make_unique<int>(40), 2);
      CHECK(*awaited == 42);
      auto future = run_in_executor(*pool, add_to, std::make_unique<int>(41), 2);
      co_await siding::wait(future);
      const std::unique_ptr<int> taken = std::move(future).result();
      CHECK(*taken == 43);
    });
  }

  // RX-006
  TEST_CASE("the work starts at the call, not at the co_await") {
    const Pool pool(3);
    Gate gate;
    siding::run([&]() -> Task<> {
      std::vector<Future<int>> calls;
      for (int i = 0; i < 3; ++i) calls.push_back(run_in_executor(*pool, pass_with, gate.key(), i));
      gate.wait_for_arrivals(3);  // without a suspension in between
      gate.open();
      co_await siding::wait(calls);
      for (int i = 0; i < 3; ++i) CHECK(calls[static_cast<std::size_t>(i)].result() == i);
    });
  }

  // RX-014
  TEST_CASE("after the default executors were shut down, only explicit pools work") {
    const Pool pool(1);
    siding::run([&]() -> Task<> {
      const int before = co_await siding::to_process(add, 1, 2);
      CHECK(before == 3);
      co_await EventLoop::current().shutdown_default_executor();

      bool refused = false;
      try {
        co_await siding::to_process(add, 1, 2);
      } catch (const siding::ShutdownError&) {
        refused = true;
      }
      CHECK(refused);
      const int explicitly = co_await offload(*pool, add, 1, 3);
      CHECK(explicitly == 4);
    });
  }

  TEST_CASE("a worker is free for others although the loop that awaits its last result is busy") {
    const Pool pool(2);
    siding::run([&]() -> Task<> {
      const int pid = co_await offload(*pool, own_pid);
      const Future<int> last = run_in_executor(*pool, own_pid);
      // Without a suspension from here on: the result lies there.
      CHECK(becomes_true([&] { return is_asleep(pid, pid); }));
      std::thread other([&] {
        Gate gate;
        const Future<int> blocker = pool->submit(pass_with, gate.key(), 1);
        for (int i = 0; i < 20; ++i) CHECK(value_of(pool->submit(add, i, 1)) == i + 1);
        gate.open();
        CHECK(value_of(blocker) == 1);
      });
      other.join();
      const int value = co_await last;
      CHECK(value == pid);
    });
  }

  // RX-016
  TEST_CASE("a result wakes a sleeping loop at once") {
    // Calls that end when the loop sleeps; each gives the time at which it returned.
    constexpr std::size_t count = 300;
    std::vector<std::chrono::nanoseconds> gaps;
    const Pool pool(1);
    EventLoop loop({.spin = 0ns});
    loop.run_until_complete([&]() -> Task<> {
      const siding::LoopCounters before = loop.counters();
      for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t returned =
            co_await offload(*pool, clock_when_asleep, ::getpid(), ::gettid());
        gaps.push_back(Clock::now().time_since_epoch() - std::chrono::nanoseconds(returned));
      }
      // The thread may also sleep for a lock, which its call takes for the loop's sleep.
      CHECK(loop.counters().sleeps - before.sleeps >= count / 2);
      CHECK(loop.counters().iterations - before.iterations <= 2 * count);
    }());
    loop.close();

    std::ranges::sort(gaps);
    // 200 us and 2 ms on a machine that has nothing else to do; a loop that polls would show a
    // multiple of its period.
    CHECK(gaps[count / 2] < 1ms * slowness);
    CHECK(gaps[count * 99 / 100] < 20ms * slowness);
  }

  // RX-016
  TEST_CASE("a loop that waits for a call in a process does not poll") {
    const Pool pool(1);
    Gate gate;
    EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      const Future<int> call = run_in_executor(*pool, pass_with, gate.key(), 5);
      co_await turns(1);
      gate.wait_for_arrivals(1);
      const std::uint64_t before = loop.counters().iterations;
      std::thread opener([&gate] {
        std::this_thread::sleep_for(100ms);  // a test about time: what goes on meanwhile is counted
        gate.open();
      });
      const int value = co_await call;
      opener.join();
      CHECK(value == 5);
      CHECK(loop.counters().iterations - before <= 5);
    }());
    loop.close();
  }
}

}  // namespace siding_test::process_pool_await_test
