// SPDX-License-Identifier: MIT
// Question (W6): what do calling a coroutine, and spawning and joining one, cost in Asio?
// Forms, by the first argument:
//   call   co_await child(), one after another
//   spawn  co_spawn of empty coroutines in batches, each batch joined
// Asio 1.22 has no cheap joinable handle. The join is one counter per batch that resumes the
// parent, which is less than the one handle per task that siding gives.

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "asio_offload.hpp"
#include "bench.hpp"

namespace {

bench::AsioAwaitable<std::int64_t> child(std::int64_t value) {
  co_return bench::trivial_call(value);
}

bench::AsioAwaitable<void> measure_calls() {
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
  const auto version = bench::asio_version();
  bench::print_unit_cost("asio", "call_ns", laps, busy, bench::w6_calls, bench::w6_calls_per_sample,
                         version.c_str());
}

bench::AsioAwaitable<void> count_up(std::int64_t& finished) {
  ++finished;
  co_return;
}

// Resumes one waiting coroutine when `remaining` tasks have ended. One allocation per batch.
struct Join {
  std::int64_t remaining;
  std::function<void()> resume{};

  void finish_one() {
    if (--remaining == 0) std::exchange(resume, nullptr)();
  }

  auto wait() {
    return asio::async_initiate<const asio::use_awaitable_t<bench::AsioLoop>, void()>(
        [this](auto handler) {
          resume = [shared = std::make_shared<decltype(handler)>(std::move(handler))] {
            auto& continuation = *shared;
            std::move(continuation)();
          };
        },
        bench::asio_awaits);
  }
};

bench::AsioAwaitable<void> spawn_batch(bench::AsioLoop loop, std::int64_t& finished) {
  Join join{bench::w6_batch};
  for (std::int64_t index = 0; index < bench::w6_batch; ++index) {
    asio::co_spawn(loop, count_up(finished), [&join](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
      join.finish_one();
    });
  }
  co_await join.wait();
}

bench::AsioAwaitable<void> measure_spawns(bench::AsioLoop loop) {
  std::int64_t finished = 0;
  co_await spawn_batch(loop, finished);  // warm-up
  finished = 0;
  bench::Laps laps(bench::w6_tasks / bench::w6_batch);
  const bench::Meter meter;
  laps.start();
  for (std::int64_t done = 0; done < bench::w6_tasks; done += bench::w6_batch) {
    co_await spawn_batch(loop, finished);
    laps.lap();
  }
  const auto busy = meter.spent();
  bench::check_equal(finished, bench::w6_tasks, "count of tasks");
  const auto version = bench::asio_version();
  bench::print_unit_cost("asio", "spawn_ns", laps, busy, bench::w6_tasks, bench::w6_batch,
                         version.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const auto form = bench::form(argc, argv, "call");
  if (form != "call" && form != "spawn") bench::unknown_form("call, spawn");
  asio::io_context loop(1);
  std::exception_ptr error;
  const auto keep_error = [&error](std::exception_ptr thrown) { error = thrown; };
  if (form == "call")
    asio::co_spawn(loop, measure_calls(), keep_error);
  else
    asio::co_spawn(loop, measure_spawns(loop.get_executor()), keep_error);
  loop.run();
  if (error) std::rethrow_exception(error);
}
