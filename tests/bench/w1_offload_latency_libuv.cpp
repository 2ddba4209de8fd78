// SPDX-License-Identifier: MIT
// Question (W1): what does libuv take for one trivial call on its thread pool and back to the loop?
// uv_queue_work with two threads; the next call is queued in the completion callback of the last.
// libuv has no coroutines, so this is less work than the other programs do.

#include <uv.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "bench.hpp"

namespace {

struct Sequence {
  uv_loop_t* loop;
  bench::Laps& laps;
  std::int64_t count = 0;
  std::int64_t next = 0;
  std::int64_t result = 0;
  std::int64_t sum = 0;
  uv_work_t work{};
};

// Runs on a worker.
void on_work(uv_work_t* work) {
  auto& sequence = *static_cast<Sequence*>(work->data);
  sequence.result = bench::trivial_call(sequence.next);
}

// Runs on the loop thread.
void on_done(uv_work_t* work, int /*status*/) {
  auto& sequence = *static_cast<Sequence*>(work->data);
  sequence.sum += sequence.result;
  sequence.laps.lap();
  if (++sequence.next < sequence.count)
    uv_queue_work(sequence.loop, &sequence.work, on_work, on_done);
}

std::int64_t call_in_sequence(uv_loop_t* loop, std::int64_t count, bench::Laps& laps) {
  Sequence sequence{.loop = loop, .laps = laps, .count = count};
  sequence.work.data = &sequence;
  uv_queue_work(loop, &sequence.work, on_work, on_done);
  uv_run(loop, UV_RUN_DEFAULT);
  return sequence.sum;
}

// An otherwise idle loop for this long.
void idle_for(uv_loop_t* loop, std::chrono::milliseconds length) {
  uv_timer_t timer;
  uv_timer_init(loop, &timer);
  uv_timer_start(
      &timer, [](uv_timer_t* fired) { uv_close(reinterpret_cast<uv_handle_t*>(fired), nullptr); },
      static_cast<std::uint64_t>(length.count()), 0);
  uv_run(loop, UV_RUN_DEFAULT);
}

}  // namespace

int main() {
  setenv("UV_THREADPOOL_SIZE", std::to_string(bench::worker_count).c_str(), 1);
  uv_loop_t* const loop = uv_default_loop();
  bench::Laps laps(bench::w1_calls);
  call_in_sequence(loop, bench::w1_warm_up_calls, laps);

  const bench::Meter busy_meter;
  laps.start();
  const auto sum = call_in_sequence(loop, bench::w1_calls, laps);
  const auto busy = busy_meter.spent();
  bench::check_equal(sum, bench::expected_sum(bench::w1_calls), "sum");

  idle_for(loop, bench::idle_settle);
  const bench::Meter idle_meter;
  idle_for(loop, bench::idle_length);
  const auto idle = idle_meter.spent();

  bench::print_latency("libuv", laps, busy, idle, uv_version_string());
}
