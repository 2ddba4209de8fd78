// SPDX-License-Identifier: MIT
// Shows: limits of time for calls in processes: of the run, of the wait for a worker, of an await, and
//        of the pool's end.
// Run:   build/examples/time_limits
// Prints:
//   run_limit: ended, with its worker
//   run_limit with a stop token: ended, and the same worker goes on
//   timeout(): ended, with its worker
//   queue_limit: "no worker process was free for waits within its queue_limit of 20 ms"
//   close(): late, because this still runs: stuck
//   kill(): the call is cancelled, and no worker is left

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <chrono>
#include <stop_token>
#include <thread>

using namespace std::chrono_literals;

void hangs() {
  for (;;) ::pause();
}
// Ends in order: it has cancel_grace for that.
void works_until_asked(const std::stop_token& token) {
  while (!token.stop_requested()) std::this_thread::sleep_for(1ms);
}

siding::Task<> limit_calls(siding::ProcessPool& pool) {
  siding::CallOptions limited;
  limited.run_limit = 50ms;
  try {
    co_await siding::offload(pool, limited, hangs);
  } catch (const siding::TimeoutError&) {
    fmt::print("run_limit: ended, with its worker\n");
  }
  const int before = co_await siding::offload(pool, ::getpid);
  try {
    co_await siding::offload(pool, limited, works_until_asked);
  } catch (const siding::TimeoutError&) {
    fmt::print("run_limit with a stop token: ended");
  }
  const int after = co_await siding::offload(pool, ::getpid);
  fmt::print(", and {} worker goes on\n", before == after ? "the same" : "another");
  try {
    co_await siding::timeout(50ms, [&]() -> siding::Task<> {
      co_await siding::offload(pool, hangs);
    });
  } catch (const siding::TimeoutError&) {
    fmt::print("timeout(): ended, with its worker\n");
  }
}

siding::Task<> end_the_pool(siding::ProcessPool& pool) {
  const siding::Future<void> stuck = siding::run_in_executor(pool, {.name = "stuck"}, hangs);
  while (pool.statistics().running == 0) co_await siding::sleep(1ms);
  try {
    siding::CallOptions options{.name = "waits", .queue_limit = 20ms};
    co_await siding::offload(pool, options, ::getpid);
  } catch (const siding::TimeoutError& error) {
    fmt::print("queue_limit: \"{}\"\n", error.what());
  }
  try {
    co_await pool.close({.timeout = 50ms});
  } catch (const siding::TimeoutError&) {  // its text says the same
    fmt::print("close(): late, because this still runs: {}\n", pool.running_calls().at(0));
  }
  pool.kill();
  co_await pool.close();
  fmt::print("kill(): the call is {}, and {} worker is left\n", stuck.cancelled() ? "cancelled" : "there",
             pool.worker_count() == 0 ? "no" : "a");
}

int main() {
  siding::ProcessPoolOptions options;
  options.max_workers = 1;
  options.cancel_grace = 10s;  // ample, for machines that are busy
  siding::ProcessPool pool(options);
  siding::run(limit_calls(pool));
  siding::run(end_the_pool(pool));
}
