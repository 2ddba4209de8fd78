// SPDX-License-Identifier: MIT
// Question (W5): how many bytes per second does one siding loop get to a pool of processes and back,
// by value, a megabyte at a time and four in flight? The worker changes one word. And by handle, where
// they stay where they are (SharedBuffer)?

#include <siding/siding.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "bench.hpp"

namespace {

using Value = std::vector<std::uint64_t>;
using Handle = siding::SharedBuffer;

std::span<std::uint64_t> words(Value& value) { return value; }
std::span<std::uint64_t> words(Handle& handle) { return handle.as<std::uint64_t>(); }

template <class Block>
Block make_block() {
  return Block(Value(static_cast<std::size_t>(bench::w5_bytes) / sizeof(std::uint64_t), 1));
}
template <>
Handle make_block<Handle>() {
  return Handle::of(make_block<Value>());
}

// Changes one word, so that what comes back is not what was sent.
template <class Block>
Block turn_round(Block block) {
  words(block)[0] += words(block).size();
  return block;
}

template <class Block>
siding::Task<std::int64_t> send_in_sequence(siding::ProcessPool& pool, std::int64_t count) {
  Block block = make_block<Block>();
  for (std::int64_t index = 0; index < count; ++index) {
    block = co_await siding::offload(pool, turn_round<Block>, std::move(block));
  }
  co_return static_cast<std::int64_t>((words(block)[0] - 1) / words(block).size());
}

template <class Block>
siding::Task<> keep_in_flight(siding::ProcessPool& pool, std::int64_t calls_each) {
  std::vector<siding::Future<std::int64_t>> parts;
  for (std::int64_t index = 0; index < bench::w5_in_flight; ++index) {
    parts.push_back(siding::create_task(send_in_sequence<Block>(pool, calls_each)));
  }
  std::int64_t turns = 0;
  for (const auto& part : parts) {
    const std::int64_t result = co_await part;
    turns += result;
  }
  bench::check_equal(turns, bench::w5_in_flight * calls_each, "number of turns");
}

template <class Block>
siding::Task<> measure(const char* peer) {
  siding::ProcessPoolOptions options;
  options.max_workers = static_cast<std::size_t>(bench::worker_count);
  siding::ProcessPool pool(options);

  co_await keep_in_flight<Block>(pool, bench::w5_warm_up_calls_each);
  const bench::Meter meter;
  co_await keep_in_flight<Block>(pool, bench::w5_calls_each);
  bench::print_payload(peer, meter.spent(), bench::w5_in_flight * bench::w5_calls_each);
}

}  // namespace

int main(int argc, char** argv) {
  const auto form = bench::form(argc, argv, "by_value");
  if (form == "by_value") {
    siding::run(measure<Value>("siding"));
  } else if (form == "by_handle") {
    siding::run(measure<Handle>("siding_by_handle"));
  } else {
    bench::unknown_form("by_value, by_handle");
  }
}
