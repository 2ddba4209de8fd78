// SPDX-License-Identifier: MIT
// A loop cancels queued calls while their pool drops them: by a shutdown, or because its
// initializer throws. For the thread sanitizer above all.

#include <siding/detail/sanitizers.hpp>
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/log_capture.hpp"

namespace siding_test::thread_pool_end_stress_test {
namespace {

using siding::Future;
using siding::Task;
using siding::ThreadPool;

constexpr int rounds = SIDING_SANITIZED ? 10 : 60;
constexpr int calls = 300;

Task<> call(ThreadPool& pool) {
  try {
    co_await siding::offload(pool, [] {});
  } catch (const std::runtime_error&) {
    // Refused, or failed with its pool.
  }
}

Task<> cancel_queued_calls(ThreadPool& pool, std::atomic<bool>& go) {
  std::vector<Future<>> futures;
  for (int i = 0; i < calls; ++i)
    futures.push_back(siding::create_task(call(pool)));
  co_await siding::yield();
  go = true;
  for (const Future<>& future : futures)
    future.cancel();
  co_await siding::wait(futures);
}

TEST_SUITE("ThreadPool") {
  TEST_CASE("calls are cancelled while a shutdown drops them") {
    for (int round = 0; round < rounds; ++round) {
      ThreadPool pool{{.max_workers = 1}};
      std::atomic<bool> go{false};
      std::thread stopper([&] {
        while (!go)
          std::this_thread::yield();
        pool.shutdown({.cancel_pending = true});
      });
      siding::run(cancel_queued_calls(pool, go));
      stopper.join();
    }
  }

  TEST_CASE("calls are cancelled while they fail with a pool that breaks") {
    const siding_test::LogCapture quiet;
    for (int round = 0; round < rounds; ++round) {
      std::atomic<bool> go{false};
      const auto initializer = [&go] {
        while (!go)
          std::this_thread::yield();
        throw std::runtime_error("no licence");
      };
      ThreadPool pool{{.max_workers = 1, .initializer = initializer}};
      siding::run(cancel_queued_calls(pool, go));
    }
  }
}

}  // namespace
}  // namespace siding_test::thread_pool_end_stress_test
