// SPDX-License-Identifier: MIT
// Question (W1): how fast can one call go to a worker thread and back, with nothing in between?
// The baseline that no library can beat: one slot, two workers, futexes; no queue, no allocation,
// no coroutine. Forms, by the first argument:
//   blocking  everybody sleeps at once when there is nothing to do
//   spinning  caller and at most one worker spin for spin_limit before they sleep
//   one_core  blocking, with all threads confined to one CPU

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"
#include "limit.hpp"

namespace {

enum Request : std::uint32_t { request_none, request_job, request_stop };
enum Reply : std::uint32_t { reply_pending, reply_done, reply_caller_asleep };

class Slot {
 public:
  explicit Slot(bool spins) : spins_(spins) {
    for (std::int64_t index = 0; index < bench::worker_count; ++index)
      workers_.emplace_back([this] { work(); });
  }

  ~Slot() {
    request_.store(request_stop);
    bench::futex_wake(request_, static_cast<int>(bench::worker_count));
    for (auto& worker : workers_)
      worker.join();
  }

  // Runs on the calling thread, which waits for the result.
  std::int64_t call(std::int64_t argument) {
    argument_ = argument;
    reply_.store(reply_pending, std::memory_order_relaxed);
    // Sequentially consistent with work(): either we see no spinner, or the spinner sees the job
    // before it sleeps. Publishes argument_ and reply_.
    request_.store(request_job);
    if (!spinner_.load()) bench::futex_wake(request_, 1);
    const bool done = spins_ && bench::spin_until([this] {
                        return reply_.load(std::memory_order_acquire) == reply_done;
                      });
    if (!done) sleep_until_done();
    return result_;
  }

 private:
  void sleep_until_done() {
    std::uint32_t seen = reply_pending;
    // Acquire on failure: pairs with the exchange in work() and makes result_ visible.
    if (!reply_.compare_exchange_strong(seen, reply_caller_asleep)) return;
    while (reply_.load(std::memory_order_acquire) == reply_caller_asleep)
      bench::futex_wait(reply_, reply_caller_asleep);
  }

  // Runs on a worker. False: stop.
  bool take_job() {
    for (;;) {
      std::uint32_t seen = request_job;
      if (request_.compare_exchange_strong(seen, request_none)) return true;
      if (seen == request_stop) return false;
      if (spins_ && !spinner_.exchange(true)) {
        const bool ready = bench::spin_until(
            [this] { return request_.load(std::memory_order_relaxed) != request_none; });
        spinner_.store(false);
        if (ready) continue;
      }
      bench::futex_wait(request_, request_none);
    }
  }

  void work() {
    while (take_job()) {
      result_ = bench::trivial_call(argument_);
      // Publishes result_.
      if (reply_.exchange(reply_done) == reply_caller_asleep) bench::futex_wake(reply_, 1);
    }
  }

  const bool spins_;
  // The two words are on cache lines of their own: one side writes while the other looks.
  alignas(64) std::atomic<std::uint32_t> request_{request_none};
  std::int64_t argument_ = 0;
  alignas(64) std::atomic<std::uint32_t> reply_{reply_pending};
  std::int64_t result_ = 0;
  alignas(64) std::atomic<bool> spinner_{false};
  std::vector<std::thread> workers_;
};

void confine_to_one_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  CPU_SET(static_cast<std::size_t>(sched_getcpu()), &allowed);
  if (sched_setaffinity(0, sizeof(allowed), &allowed) != 0) {
    std::perror("sched_setaffinity");
    std::exit(1);
  }
}

std::int64_t call_in_sequence(Slot& slot, std::int64_t count, bench::Laps& laps) {
  std::int64_t sum = 0;
  for (std::int64_t index = 0; index < count; ++index) {
    sum += slot.call(index);
    laps.lap();
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto form = bench::form(argc, argv, "spinning");
  if (form != "blocking" && form != "spinning" && form != "one_core")
    bench::unknown_form("blocking, spinning, one_core");
  if (form == "one_core") confine_to_one_cpu();

  Slot slot(form == "spinning");
  bench::Laps laps(bench::w1_calls);
  call_in_sequence(slot, bench::w1_warm_up_calls, laps);

  const bench::Meter busy_meter;
  laps.start();
  const auto sum = call_in_sequence(slot, bench::w1_calls, laps);
  const auto busy = busy_meter.spent();
  bench::check_equal(sum, bench::expected_sum(bench::w1_calls), "sum");

  std::this_thread::sleep_for(bench::idle_settle);
  const bench::Meter idle_meter;
  std::this_thread::sleep_for(bench::idle_length);
  const auto idle = idle_meter.spent();

  const auto peer = "limit_" + std::string(form);
  bench::print_latency(peer.c_str(), laps, busy, idle);
}
