// SPDX-License-Identifier: MIT
// Question (W5): how many bytes per second does one siding loop get to a pool of processes and back,
// by value, a megabyte at a time and four in flight? The worker changes one word.

#include <siding/siding.hpp>

#include <cstdint>
#include <utility>
#include <vector>

#include "bench.hpp"

namespace {

using Block = std::vector<std::uint64_t>;

// Changes one word, so that what comes back is not what was sent.
Block turn_round(Block block) {
  block[0] += block.size();
  return block;
}

siding::Task<std::int64_t> send_in_sequence(siding::ProcessPool& pool, std::int64_t count) {
  Block block(static_cast<std::size_t>(bench::w5_bytes) / sizeof(std::uint64_t), 1);
  for (std::int64_t index = 0; index < count; ++index) {
    block = co_await siding::offload(pool, turn_round, std::move(block));
  }
  co_return static_cast<std::int64_t>((block[0] - 1) / block.size());
}

siding::Task<> keep_in_flight(siding::ProcessPool& pool, std::int64_t calls_each) {
  std::vector<siding::Future<std::int64_t>> parts;
  for (std::int64_t index = 0; index < bench::w5_in_flight; ++index) {
    parts.push_back(siding::create_task(send_in_sequence(pool, calls_each)));
  }
  std::int64_t turns = 0;
  for (const auto& part : parts) {
    const std::int64_t result = co_await part;
    turns += result;
  }
  bench::check_equal(turns, bench::w5_in_flight * calls_each, "number of turns");
}

siding::Task<> measure() {
  siding::ProcessPoolOptions options;
  options.max_workers = static_cast<std::size_t>(bench::worker_count);
  siding::ProcessPool pool(options);

  co_await keep_in_flight(pool, bench::w5_warm_up_calls_each);
  const bench::Meter meter;
  co_await keep_in_flight(pool, bench::w5_calls_each);
  bench::print_payload("siding", meter.spent(), bench::w5_in_flight * bench::w5_calls_each);
}

}  // namespace

int main() { siding::run(measure()); }
