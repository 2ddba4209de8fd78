// SPDX-License-Identifier: MIT
// Question (W1): what does siding take for one trivial call on a thread pool and back to the loop,
// awaited by a coroutine, one call after another? Default options but for the number of workers.

#include <siding/siding.hpp>

#include <cstdint>
#include <memory>

#include "bench.hpp"

namespace {

siding::Task<std::int64_t> call_in_sequence(std::int64_t count, bench::Laps& laps) {
  std::int64_t sum = 0;
  for (std::int64_t index = 0; index < count; ++index) {
    const std::int64_t result = co_await siding::to_thread(bench::trivial_call, index);
    sum += result;
    laps.lap();
  }
  co_return sum;
}

siding::Task<> measure() {
  siding::ThreadPoolOptions options;
  options.max_workers = static_cast<std::size_t>(bench::worker_count);
  siding::EventLoop::current().set_default_executor(std::make_shared<siding::ThreadPool>(options));

  bench::Laps laps(bench::w1_calls);
  co_await call_in_sequence(bench::w1_warm_up_calls, laps);

  const bench::Meter busy_meter;
  laps.start();
  const std::int64_t sum = co_await call_in_sequence(bench::w1_calls, laps);
  const auto busy = busy_meter.spent();
  bench::check_equal(sum, bench::expected_sum(bench::w1_calls), "sum");

  co_await siding::sleep(bench::idle_settle);
  const bench::Meter idle_meter;
  co_await siding::sleep(bench::idle_length);
  const auto idle = idle_meter.spent();

  bench::print_latency("siding", laps, busy, idle);
}

}  // namespace

int main() { siding::run(measure()); }
