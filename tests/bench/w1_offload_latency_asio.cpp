// SPDX-License-Identifier: MIT
// Question (W1): what does Asio take for one trivial call on a thread pool and back to the loop,
// awaited by a coroutine, one call after another?

#include <cstdint>
#include <exception>

#include "asio_offload.hpp"
#include "bench.hpp"

namespace {

bench::AsioAwaitable<std::int64_t> call_in_sequence(asio::thread_pool& pool, bench::AsioLoop loop,
                                                    std::int64_t count, bench::Laps& laps) {
  std::int64_t sum = 0;
  for (std::int64_t index = 0; index < count; ++index) {
    const std::int64_t result = co_await bench::asio_offload(pool, loop, index);
    sum += result;
    laps.lap();
  }
  co_return sum;
}

// An otherwise idle loop for this long.
bench::AsioAwaitable<void> idle_for(bench::AsioLoop loop, std::chrono::milliseconds length) {
  asio::steady_timer timer(loop, length);
  co_await timer.async_wait(bench::asio_awaits);
}

bench::AsioAwaitable<void> measure(asio::thread_pool& pool, bench::AsioLoop loop) {
  bench::Laps laps(bench::w1_calls);
  co_await call_in_sequence(pool, loop, bench::w1_warm_up_calls, laps);

  const bench::Meter busy_meter;
  laps.start();
  const std::int64_t sum = co_await call_in_sequence(pool, loop, bench::w1_calls, laps);
  const auto busy = busy_meter.spent();
  bench::check_equal(sum, bench::expected_sum(bench::w1_calls), "sum");

  co_await idle_for(loop, bench::idle_settle);
  const bench::Meter idle_meter;
  co_await idle_for(loop, bench::idle_length);
  const auto idle = idle_meter.spent();

  const auto version = bench::asio_version();
  bench::print_latency("asio", laps, busy, idle, version.c_str());
}

}  // namespace

int main() {
  asio::io_context loop(1);
  asio::thread_pool pool(static_cast<std::size_t>(bench::worker_count));
  std::exception_ptr error;
  asio::co_spawn(loop, measure(pool, loop.get_executor()),
                 [&error](std::exception_ptr thrown) { error = thrown; });
  loop.run();
  if (error) std::rethrow_exception(error);
}
