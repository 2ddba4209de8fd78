// SPDX-License-Identifier: MIT
// Question (W2): how many trivial calls per second do many coroutines on one Asio loop get through
// a thread pool and back?

#include <cstdint>
#include <exception>

#include "asio_offload.hpp"
#include "bench.hpp"

namespace {

bench::AsioAwaitable<std::int64_t> call_in_sequence(asio::thread_pool& pool, bench::AsioLoop loop,
                                                    std::int64_t begin, std::int64_t end) {
  std::int64_t sum = 0;
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t result = co_await bench::asio_offload(pool, loop, index);
    sum += result;
  }
  co_return sum;
}

void run_coroutines(asio::thread_pool& pool, asio::io_context& loop, std::int64_t calls_each) {
  std::int64_t sum = 0;
  for (std::int64_t index = 0; index < bench::w2_coroutines; ++index) {
    const auto begin = index * calls_each;
    asio::co_spawn(loop, call_in_sequence(pool, loop.get_executor(), begin, begin + calls_each),
                   [&sum](std::exception_ptr error, std::int64_t part) {
                     if (error) std::rethrow_exception(error);
                     sum += part;
                   });
  }
  loop.restart();
  loop.run();
  bench::check_equal(sum, bench::expected_sum(bench::w2_coroutines * calls_each), "sum");
}

}  // namespace

int main() {
  asio::io_context loop(1);
  asio::thread_pool pool(static_cast<std::size_t>(bench::worker_count));
  run_coroutines(pool, loop, bench::w2_warm_up_calls_each);
  const bench::Meter meter;
  run_coroutines(pool, loop, bench::w2_calls_each);
  const auto busy = meter.spent();
  const auto version = bench::asio_version();
  bench::print_throughput("asio", busy, version.c_str());
}
