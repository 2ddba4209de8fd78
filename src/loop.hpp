// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/inbox.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/event_loop.hpp>
#include <siding/testing/virtual_clock.hpp>

#include "debug_mode.hpp"
#include "ring.hpp"
#include "spin.hpp"
#include "watchdog.hpp"

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace siding {

class Executor;

namespace detail {

class DescriptorWatches;
class SignalSource;

/// Throws std::logic_error if this thread is running a loop: another one cannot run inside it.
void check_no_loop_runs(std::string_view what);

/// The engine behind EventLoop: the iteration, the sleep, and the order in which it all ends.
/// Loop thread only, except `stop`.
class Loop final : public Scheduler {
 public:
  explicit Loop(const LoopOptions& options);
  ~Loop();

  TimePoint now() const noexcept override {
    return clock_ != nullptr ? clock_->now() : Clock::now();
  }
  void report(const ErrorReport& report) noexcept override;
  void check_open(std::string_view what) const override;
  void check_thread(std::string_view what) const override;
  void refuse_arrivals() noexcept override;
  void add_source(std::shared_ptr<CompletionSource> source) override;
  void note_step(TaskContext& task, std::coroutine_handle<> from) noexcept override {
    step_.note(task, from);
  }

  void check_can_run(std::string_view what) const;
  void run_forever();
  /// Throws InvalidStateError if stop() comes before the future is done, unless that is ignored.
  void run_until_done(FutureState& state, bool obey_stop = true);
  /// Cancels every task, and those they start meanwhile, and runs until all have ended. False: it
  /// was given up at the limit, because tasks still await calls of executors.
  bool run_until_no_tasks(Limit limit = {});
  /// Names the calls of executors that tasks wait for, and those that the default pools run.
  std::vector<std::string> unfinished_calls() const;
  /// Ends for good a loop whose tasks await calls that do not return: with the frames of its tasks,
  /// and all else that such a call may still touch, it has to be leaked.
  void give_up() noexcept;
  /// Keeps the default executor for good, with the calls that it still runs.
  void leave_default_executor() noexcept;
  void stop() noexcept;
  void close();

  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  bool running() const noexcept { return running_.load(std::memory_order_relaxed); }
  LoopCounters counters() const noexcept;
  Ring& ring() noexcept { return ring_; }
  /// Of the thread that runs it, or ran it last.
  pid_t thread_id() const noexcept { return thread_id_.load(std::memory_order_relaxed); }
  /// Counts, for the watchdog, each time the loop begins to run what is ready, and each time it has.
  std::uint64_t beat() const noexcept { return beat_.load(std::memory_order_relaxed); }
  static bool beat_is_busy(std::uint64_t beat) noexcept { return beat % 2 != 0; }

  EventLoop* face = nullptr;  // the object that users hold
  std::function<void(const ErrorReport&)> exception_handler;
  std::shared_ptr<Executor> default_executor;
  std::shared_ptr<Executor> default_process_pool;
  std::shared_ptr<SignalSource> signals;  // made with the first handler
  std::unique_ptr<DescriptorWatches> descriptors;  // made with the first callback
  bool default_executor_ended = false;

 private:
  // Wakes the loop for stop(); may be in the inbox at most once.
  struct StopNode final : Node {
    explicit StopNode(Loop& owner) noexcept : loop(owner) {}
    void run() noexcept override {
      posted.store(false, std::memory_order_release);
      loop.stopping_ = true;
    }
    void refuse() noexcept override { posted.store(false, std::memory_order_release); }
    Loop& loop;
    std::atomic<bool> posted{false};
  };

  struct Running;  // marks this loop as the thread's running one

  // A source and the poll on its eventfd.
  struct Watch final : Operation {
    explicit Watch(std::shared_ptr<CompletionSource> watched) : source(std::move(watched)) {}
    void complete(int result, std::uint32_t flags) noexcept override;
    std::shared_ptr<CompletionSource> source;
  };

  void iterate();
  void run_ready();
  void run_timed(Node* node);
  void count_beat() noexcept {
    if (watchdog_limit_.has_value()) beat_.store(beat() + 1, std::memory_order_relaxed);
  }
  void fire_timers() noexcept;
  void sleep();
  void collect() noexcept;
  bool has_mail() noexcept;
  bool fall_asleep();
  void forget_sources() noexcept;
  bool may_spin(std::optional<TimePoint> due) const noexcept;
  TimePoint coalesced(TimePoint due) const noexcept;
  void refuse_chain(Node* chain) noexcept;

  testing::VirtualClock* clock_;
  Ring ring_;  // after the inbox of the base, whose eventfd it watches
  std::vector<std::unique_ptr<Watch>> watches_;
  StopNode stop_node_{*this};
  std::thread::id owner_;  // the first thread that runs it
  TimePoint last_timer_wake_{};
  const std::chrono::nanoseconds spin_length_;
  Spin spin_;
  std::uint64_t iterations_ = 0;
  std::uint64_t sleeps_ = 0;
  const std::chrono::nanoseconds slow_step_;
  const Limit watchdog_limit_;
  StepRecord step_;  // debug mode
  std::atomic<std::uint64_t> beat_{0};
  std::atomic<pid_t> thread_id_{0};
  bool stopping_ = false;
  std::atomic<bool> running_{false};  // written by the loop thread, read by anybody
  std::atomic<bool> closed_{false};
};

}  // namespace detail
}  // namespace siding
