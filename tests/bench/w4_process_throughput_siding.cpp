// SPDX-License-Identifier: MIT
// Question (W4): how many trivial calls per second does one siding loop get through a pool of
// processes and back, with 64 in flight? Default options but for the number of workers.

#include <siding/siding.hpp>

#include <cstdint>
#include <vector>

#include "bench.hpp"

namespace {

siding::Task<std::int64_t> call_in_sequence(siding::ProcessPool& pool, std::int64_t begin,
                                            std::int64_t end) {
  std::int64_t sum = 0;
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t result = co_await siding::offload(pool, bench::trivial_call, index);
    sum += result;
  }
  co_return sum;
}

siding::Task<> keep_in_flight(siding::ProcessPool& pool, std::int64_t calls_each) {
  std::vector<siding::Future<std::int64_t>> parts;
  for (std::int64_t index = 0; index < bench::w4_in_flight; ++index) {
    const auto begin = index * calls_each;
    parts.push_back(siding::create_task(call_in_sequence(pool, begin, begin + calls_each)));
  }
  std::int64_t sum = 0;
  for (const auto& part : parts) {
    const std::int64_t result = co_await part;
    sum += result;
  }
  bench::check_equal(sum, bench::expected_sum(bench::w4_in_flight * calls_each), "sum");
}

siding::Task<> measure() {
  siding::ProcessPoolOptions options;
  options.max_workers = static_cast<std::size_t>(bench::worker_count);
  siding::ProcessPool pool(options);

  co_await keep_in_flight(pool, bench::w4_warm_up_calls_each);
  const bench::Meter meter;
  co_await keep_in_flight(pool, bench::w4_calls_each);
  bench::print_process_throughput("siding", meter.spent(),
                                  bench::w4_in_flight * bench::w4_calls_each);
}

}  // namespace

int main() { siding::run(measure()); }
