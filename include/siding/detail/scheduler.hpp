// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/completion_source.hpp>
#include <siding/detail/inbox.hpp>
#include <siding/detail/node.hpp>
#include <siding/detail/timer_heap.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace siding {
struct ErrorReport;
}

namespace siding::detail {

class TaskContext;

/// A cancellation on its way from task to task, each of which passes it on to what it waits for.
struct CancelWave {
  /// How far it goes by calls before the rest is put off to the ready queue: bounds the stack.
  /// Chosen: a few hundred bytes for each, and more under sanitizers.
  static constexpr unsigned depth_limit = 64;

  std::uint64_t number = 0;  // never the same for two waves of a loop
  unsigned depth = 0;        // tasks that are passing it on now
  bool parted = false;       // a part of it was put off
  bool ending = false;       // the end of the loop has begun it: reaches each task once
};

/// The face of a loop that coroutines see: its ready queue, its timers, its inbox. The loop derives
/// from it; tasks reach it by a pointer that they inherit from their parent.
/// Everything here is for the loop thread, except the inbox.
struct Scheduler {
  /// Transfers from coroutine to coroutine without going through the ready queue. Bounds the stack
  /// where the compiler makes a call of a symmetric transfer (g++ at -O0, and under the address and
  /// thread sanitizers), and lets other tasks in. Measured: about 1 ns per transfer.
  static constexpr unsigned hop_budget = 256;

  /// Eager tasks that are inside one another's creation. Chosen: bounds the stack, and is far more
  /// than what is written on purpose.
  static constexpr unsigned nesting_limit = 32;

  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  NodeQueue ready;                 // what runs in the next iteration
  unsigned hops = hop_budget;      // left for the step that runs now
  unsigned nested = 0;             // eager tasks whose first step runs inside another's
  TaskContext* current = nullptr;  // the task whose step runs now
  TaskContext* ended = nullptr;    // set by the step that ran a task's frame to its end
  TaskContext* tasks = nullptr;    // those that have not ended, newest first
  TaskContext* asked = nullptr;    // as well, but the end of the loop has asked these to end
  CancelWave wave;                 // the one under way, if its depth is not 0
  std::uint64_t waves = 0;         // begun so far
  std::size_t put_off = 0;         // parts of waves in the ready queue
  TimerHeap timers;
  TimePoint recent{};              // a little old: of the last look at the clock, for ages of tasks
  bool debug = false;
  std::shared_ptr<Inbox> inbox;    // counted: what outlives a loop keeps the inbox, and is refused
  std::size_t offloaded = 0;       // calls and futures of other threads that tasks wait for

  /// The loop's clock: steady_clock, or a virtual one.
  virtual TimePoint now() const noexcept = 0;
  /// Hands an error that nobody can catch to the exception handler.
  virtual void report(const ErrorReport& report) noexcept = 0;
  /// Debug mode: a task is about to take a step, from `from` on.
  virtual void note_step(TaskContext& task, std::coroutine_handle<> from) noexcept = 0;
  /// Throws LoopClosed, or std::logic_error in a forked child. Any thread.
  virtual void check_open(std::string_view what) const = 0;
  /// Throws std::logic_error if the loop is running on another thread.
  virtual void check_thread(std::string_view what) const = 0;
  /// While a loop is closed: refuses everything that is ready or arrives, blocking until something
  /// has. For destructors of awaiters whose node is on its way.
  virtual void refuse_arrivals() noexcept = 0;
  /// Looks at `source` from now on, until it has ended.
  virtual void add_source(std::shared_ptr<CompletionSource> source) = 0;

 protected:
  ~Scheduler() = default;
};

/// The loop that this thread is running, or null.
extern constinit thread_local Scheduler* current_scheduler
    __attribute__((visibility("default"), tls_model("initial-exec")));

/// The same, or throws NoRunningLoop with a text that names `what`.
SIDING_EXPORT Scheduler& require_scheduler(std::string_view what);

/// Hands `node` to the loop behind `inbox`. Any thread. False if that loop is closed.
inline bool post(Inbox& inbox, Node& node) noexcept {
  Scheduler* here = current_scheduler;
  if (here != nullptr && here->inbox.get() == &inbox) {
    here->ready.push(node);
    return true;
  }
  return inbox.push(node);
}

}  // namespace siding::detail
