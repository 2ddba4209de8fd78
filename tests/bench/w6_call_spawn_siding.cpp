// SPDX-License-Identifier: MIT
// Question (W6): what do calling a coroutine, and spawning and joining one, cost in siding?
// Forms, by the first argument:
//   call   co_await child(), one after another
//   spawn  create_task of empty coroutines in batches, every handle of a batch awaited

#include <siding/siding.hpp>

#include <cstdint>
#include <vector>

#include "bench.hpp"

namespace {

siding::Task<std::int64_t> child(std::int64_t value) { co_return bench::trivial_call(value); }

siding::Task<> measure_calls() {
  bench::Laps laps(bench::w6_calls / bench::w6_calls_per_sample);
  std::int64_t sum = 0;
  const bench::Meter meter;
  laps.start();
  for (std::int64_t index = 0; index < bench::w6_calls;) {
    for (const auto end = index + bench::w6_calls_per_sample; index < end; ++index) {
      const std::int64_t result = co_await child(index);
      sum += result;
    }
    laps.lap();
  }
  const auto busy = meter.spent();
  bench::check_equal(sum, bench::expected_sum(bench::w6_calls), "sum");
  bench::print_unit_cost("siding", "call_ns", laps, busy, bench::w6_calls,
                         bench::w6_calls_per_sample);
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

siding::Task<> measure_spawns() {
  std::vector<siding::Future<>> tasks;
  tasks.reserve(static_cast<std::size_t>(bench::w6_batch));
  std::int64_t finished = 0;
  co_await spawn_batch(tasks, finished);  // warm-up
  finished = 0;
  bench::Laps laps(bench::w6_tasks / bench::w6_batch);
  const bench::Meter meter;
  laps.start();
  for (std::int64_t done = 0; done < bench::w6_tasks; done += bench::w6_batch) {
    co_await spawn_batch(tasks, finished);
    laps.lap();
  }
  const auto busy = meter.spent();
  bench::check_equal(finished, bench::w6_tasks, "count of tasks");
  bench::print_unit_cost("siding", "spawn_ns", laps, busy, bench::w6_tasks, bench::w6_batch);
}

}  // namespace

int main(int argc, char** argv) {
  const auto form = bench::form(argc, argv, "call");
  if (form != "call" && form != "spawn") bench::unknown_form("call, spawn");
  siding::run(form == "call" ? measure_calls() : measure_spawns());
}
