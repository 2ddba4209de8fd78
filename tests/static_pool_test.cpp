// SPDX-License-Identifier: MIT
// Pools with static storage duration. What counts here is also what comes after main(): the program
// has to end with status 0, whatever its pools are doing.

#include <siding/thread_pool.hpp>

#include <siding/log.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace {

// After main() a failed check would be lost, so this ends the program.
void require_after_main(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "after main: %s\n", what);
  ::_exit(1);
}

std::atomic<int> ended{0};
std::atomic<int> reported{0};

// Destroyed last: the pool has ended by then, with all its calls.
struct Last {
  ~Last() {
    require_after_main(ended == 3, "the pool was destroyed before its calls had ended");
    require_after_main(reported == 1, "an error was not reported");
  }
} last;

siding::ThreadPool pool{{.max_workers = 2}};
siding::ThreadPool unused;
std::unique_ptr<siding::ThreadPool> shut_down_pool;

// Destroyed before the pools: they still take calls, or refuse them.
struct First {
  ~First() {
    using namespace std::chrono_literals;
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
    shut_down_pool = std::make_unique<siding::ThreadPool>();
    shut_down_pool->submit([] {}).get();
    shut_down_pool->shutdown();

    CHECK(pool.submit([] { return 7; }).get() == 7);
    CHECK(pool.worker_count() == 1);
    CHECK(unused.worker_count() == 0);
  }
}
