// SPDX-License-Identifier: MIT
// Question (W2): how many trivial calls per second do many coroutines on one siding loop get
// through a thread pool and back? Default options but for the number of workers.

#include <siding/siding.hpp>

#include <cstdint>
#include <memory>
#include <vector>

#include "bench.hpp"

namespace {

siding::Task<std::int64_t> call_in_sequence(std::int64_t begin, std::int64_t end) {
  std::int64_t sum = 0;
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t result = co_await siding::to_thread(bench::trivial_call, index);
    sum += result;
  }
  co_return sum;
}

siding::Task<> run_coroutines(std::int64_t calls_each) {
  std::vector<siding::Future<std::int64_t>> parts;
  parts.reserve(static_cast<std::size_t>(bench::w2_coroutines));
  for (std::int64_t index = 0; index < bench::w2_coroutines; ++index) {
    const auto begin = index * calls_each;
    parts.push_back(siding::create_task(call_in_sequence(begin, begin + calls_each)));
  }
  std::int64_t sum = 0;
  for (const auto& part : parts) {
    const std::int64_t result = co_await part;
    sum += result;
  }
  bench::check_equal(sum, bench::expected_sum(bench::w2_coroutines * calls_each), "sum");
}

siding::Task<> measure() {
  siding::ThreadPoolOptions options;
  options.max_workers = static_cast<std::size_t>(bench::worker_count);
  siding::EventLoop::current().set_default_executor(std::make_shared<siding::ThreadPool>(options));

  co_await run_coroutines(bench::w2_warm_up_calls_each);
  const bench::Meter meter;
  co_await run_coroutines(bench::w2_calls_each);
  bench::print_throughput("siding", meter.spent());
}

}  // namespace

int main() { siding::run(measure()); }
