// SPDX-License-Identifier: MIT
// Question (W2): how many trivial calls per second does libuv carry to its thread pool and back?
// As many chains as the others have coroutines; each queues its next call in the completion
// callback of its last. libuv has no coroutines, so this is less work than the others do.

#include <uv.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

struct Chain {
  uv_loop_t* loop = nullptr;
  std::int64_t next = 0;
  std::int64_t end = 0;
  std::int64_t result = 0;
  std::int64_t sum = 0;
  uv_work_t work{};
};

// Runs on a worker.
void on_work(uv_work_t* work) {
  auto& chain = *static_cast<Chain*>(work->data);
  chain.result = bench::trivial_call(chain.next);
}

// Runs on the loop thread.
void on_done(uv_work_t* work, int /*status*/) {
  auto& chain = *static_cast<Chain*>(work->data);
  chain.sum += chain.result;
  if (++chain.next < chain.end) uv_queue_work(chain.loop, &chain.work, on_work, on_done);
}

void run_chains(uv_loop_t* loop, std::int64_t calls_each) {
  std::vector<Chain> chains(static_cast<std::size_t>(bench::w2_coroutines));
  std::int64_t begin = 0;
  for (auto& chain : chains) {
    chain.loop = loop;
    chain.next = begin;
    chain.end = begin += calls_each;
    chain.work.data = &chain;
    uv_queue_work(loop, &chain.work, on_work, on_done);
  }
  uv_run(loop, UV_RUN_DEFAULT);
  std::int64_t sum = 0;
  for (const auto& chain : chains)
    sum += chain.sum;
  bench::check_equal(sum, bench::expected_sum(bench::w2_coroutines * calls_each), "sum");
}

}  // namespace

int main() {
  setenv("UV_THREADPOOL_SIZE", std::to_string(bench::worker_count).c_str(), 1);
  uv_loop_t* const loop = uv_default_loop();
  run_chains(loop, bench::w2_warm_up_calls_each);
  const bench::Meter meter;
  run_chains(loop, bench::w2_calls_each);
  bench::print_throughput("libuv", meter.spent(), uv_version_string());
}
