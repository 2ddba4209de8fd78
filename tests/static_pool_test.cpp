// SPDX-License-Identifier: MIT
// Pools and a loop with static storage duration. What counts here is also what comes after main():
// the program has to end with status 0, whatever its pools are doing and its loop has left.

#include <siding/thread_pool.hpp>

#include <siding/event_loop.hpp>
#include <siding/log.hpp>
#include <siding/sleep.hpp>
#include <siding/to_thread.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "support/counted.hpp"

namespace siding_test::static_pool_test {
namespace {

// After main() a failed check would be lost, so this ends the program.
void require_after_main(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "after main: %s\n", what);
  ::_exit(1);
}

std::atomic<int> ended{0};
std::atomic<int> reported{0};

bool used = false;           // the test has run, so there is something to see
siding_test::Counts counts;  // of what the loop holds at its end

// Destroyed last: the pool has ended by then, with all its calls, and so has the loop.
struct Last {
  ~Last() {
    if (!used) return;
    require_after_main(ended == 3, "the pool was destroyed before its calls had ended");
    require_after_main(reported == 1, "an error was not reported");
    require_after_main(counts.alive() == 0, "the loop has not destroyed what it held");
  }
} last;

// Made in the test, since where there is no io_uring it cannot be made before main().
std::optional<siding::EventLoop> loop;

siding::ThreadPool pool{{.max_workers = 2}};
siding::ThreadPool unused;
std::unique_ptr<siding::ThreadPool> shut_down_pool;

// Destroyed before the pools: they still take calls, or refuse them.
struct First {
  ~First() {
    using namespace std::chrono_literals;
    if (!used) return;
    const auto call = pool.submit([] { return 1; });
    require_after_main(call.get(60s) == 1, "a call on a static pool gave no result");
    bool refused = false;
    try {
      shut_down_pool->submit([] {});
    } catch (const siding::ShutdownError&) {
      refused = true;
    }
    require_after_main(refused, "a pool that was shut down took a call");
    // These run while the pool is destroyed.
    for (int i = 0; i < 3; ++i) {
      pool.submit([] {
        std::this_thread::sleep_for(1ms);
        ++ended;
      });
    }
    // An error that nobody looks at is still reported.
    siding::set_log_sink([](std::string_view) { ++reported; });
    pool.submit([] { throw std::runtime_error("after main"); });
  }
} first;

}  // namespace

TEST_SUITE("ThreadPool") {
  // CC-009
  TEST_CASE("a pool with static storage duration is used, and ends after main") {
    used = true;
    shut_down_pool = std::make_unique<siding::ThreadPool>();
    shut_down_pool->submit([] {}).get();
    shut_down_pool->shutdown();

    CHECK(pool.submit([] { return 7; }).get() == 7);
    CHECK(pool.worker_count() == 1);
    CHECK(unused.worker_count() == 0);
  }

  // CC-009
  TEST_CASE("a loop with static storage duration is used, and what it holds ends after main") {
    using namespace std::chrono_literals;
    loop.emplace();
    loop->create_task(
        [kept = siding_test::Counted(counts)]() -> siding::Task<> { co_await siding::sleep(1h); });
    loop->call_later(1h, [kept = siding_test::Counted(counts)] {});

    const int value = loop->run_until_complete(
        []() -> siding::Task<int> { co_return co_await siding::to_thread([] { return 7; }); });

    CHECK(value == 7);
    CHECK(counts.alive() == 2);
    CHECK(loop->default_executor() != nullptr);
  }
}

}  // namespace siding_test::static_pool_test
