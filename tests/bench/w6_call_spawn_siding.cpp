// SPDX-License-Identifier: MIT
// Question (W6): what do calling a coroutine, spawning and joining one, and spawning one that
// sleeps, cancelling and joining it, cost in siding?
// Forms, by the first argument:
//   call    co_await child(), one after another
//   spawn   create_task of empty coroutines in batches, every handle of a batch awaited
//   cancel  create_task of coroutines that sleep for an hour, in batches; when all of a batch sleep,
//           each is cancelled, and the batch is waited for
// A second argument is the number of calls or tasks, a multiple of the batch: instructions.py counts
// instructions with few of them.

#include <siding/siding.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "bench.hpp"

namespace {

siding::Task<std::int64_t> child(std::int64_t value) { co_return bench::trivial_call(value); }

siding::Task<> measure_calls(std::int64_t count) {
  bench::Laps laps(count / bench::w6_calls_per_sample);
  std::int64_t sum = 0;
  const bench::Meter meter;
  laps.start();
  for (std::int64_t index = 0; index < count;) {
    for (const auto end = index + bench::w6_calls_per_sample; index < end; ++index) {
      const std::int64_t result = co_await child(index);
      sum += result;
    }
    laps.lap();
  }
  const auto busy = meter.spent();
  bench::check_equal(sum, bench::expected_sum(count), "sum");
  bench::print_unit_cost("siding", "call_ns", laps, busy, count, bench::w6_calls_per_sample);
}

siding::Task<> count_up(std::int64_t& finished) {
  ++finished;
  co_return;
}

siding::Task<> spawn_batch(std::vector<siding::Future<>>& tasks, std::int64_t& finished) {
  for (std::int64_t index = 0; index < bench::w6_batch; ++index)
    tasks.push_back(siding::create_task(count_up(finished)));
  for (const auto& task : tasks)
    co_await task;
  tasks.clear();
}

siding::Task<> sleep_long() { co_await siding::sleep(std::chrono::hours(1)); }

siding::Task<> cancel_batch(std::vector<siding::Future<>>& tasks, std::int64_t& finished) {
  for (std::int64_t index = 0; index < bench::w6_batch; ++index)
    tasks.push_back(siding::create_task(sleep_long()));
  co_await siding::yield();  // all of them sleep now
  for (const auto& task : tasks)
    task.cancel();
  co_await siding::wait(tasks);
  for (const auto& task : tasks)
    finished += task.cancelled() ? 1 : 0;
  tasks.clear();
}

template <class Batch>
siding::Task<> measure_tasks(std::int64_t count, const char* metric, Batch batch) {
  std::vector<siding::Future<>> tasks;
  tasks.reserve(static_cast<std::size_t>(bench::w6_batch));
  std::int64_t finished = 0;
  co_await batch(tasks, finished);  // warm-up
  finished = 0;
  bench::Laps laps(count / bench::w6_batch);
  const bench::Meter meter;
  laps.start();
  for (std::int64_t done = 0; done < count; done += bench::w6_batch) {
    co_await batch(tasks, finished);
    laps.lap();
  }
  const auto busy = meter.spent();
  bench::check_equal(finished, count, "count of tasks");
  bench::print_unit_cost("siding", metric, laps, busy, count, bench::w6_batch);
}

}  // namespace

int main(int argc, char** argv) {
  const auto form = bench::form(argc, argv, "call");
  if (form != "call" && form != "spawn" && form != "cancel")
    bench::unknown_form("call, spawn, cancel");
  std::int64_t count = form == "call"    ? bench::w6_calls
                       : form == "spawn" ? bench::w6_tasks
                                         : bench::w6_cancelled_tasks;
  if (argc > 2) count = std::atoll(argv[2]);
  if (form == "call") siding::run(measure_calls(count));
  if (form == "spawn") siding::run(measure_tasks(count, "spawn_ns", spawn_batch));
  if (form == "cancel") siding::run(measure_tasks(count, "cancel_ns", cancel_batch));
}
