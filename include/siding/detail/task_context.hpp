// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/detail/fixed_text.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/detail/variables.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <cstdint>
#include <source_location>
#include <stop_token>
#include <string>
#include <string_view>

namespace siding::detail {

class FutureState;
struct JobNode;

/// A place in the source. As default argument of an `await_suspend` it is that of the `co_await`.
using Place = std::source_location;

/// What a task waits for: the part of an awaiter that a cancellation reaches. One mechanism for
/// every awaiter of the library.
class Suspension {
 public:
  Suspension(const Suspension&) = delete;
  Suspension& operator=(const Suspension&) = delete;

  /// Loop thread. Called at most once per request while the task is suspended here. True: the wait
  /// will end because of it (by `Cancelled`, or by the outcome of what was cancelled underneath).
  /// False: it is over already, or cannot be cancelled; the request stays pending and is thrown at
  /// the next suspension point, and the value that is on its way is delivered. Must not resume the
  /// task itself: posts it.
  virtual bool cancel() noexcept = 0;

  /// Ends the wait without passing the request on to what is waited for: the request has come from
  /// there, so that each waits for the other. Result as `cancel`.
  virtual bool give_up() noexcept { return cancel(); }

  /// Loop thread: the call of an executor that is waited for; null if it is something else.
  virtual const JobNode* awaited_call() noexcept { return nullptr; }

  /// Says what is waited for, as what could follow "waits for". In a signal handler too.
  virtual void describe(FixedText& text) const noexcept = 0;

  /// The coroutine that waits.
  std::coroutine_handle<> handle() const noexcept { return handle_; }

 protected:
  Suspension() = default;
  ~Suspension() = default;

  template <class Promise>
  void suspend(std::coroutine_handle<Promise> handle, Place where) noexcept;
  inline void resume() noexcept;

  std::coroutine_handle<> handle_;
  TaskContext* context_ = nullptr;
  bool cancelled_ = false;  // resuming throws Cancelled
};

/// One running task: the chain of coroutines from the one given to `create_task` or `run` down to
/// the innermost. Awaited children share their parent's context. Loop thread only.
class SIDING_EXPORT TaskContext : public Node {
 public:
  explicit TaskContext(Scheduler& scheduler) noexcept
      : variables(inherited_variables()), scheduler_(scheduler) {}

  Scheduler& scheduler() const noexcept { return scheduler_; }

  /// Puts the task at the end of the ready queue, to go on at `handle`.
  void post(std::coroutine_handle<> handle) noexcept {
    resume_point_ = handle;
    scheduler_.ready.push(*this);
  }

  /// The task's turn: goes on at `handle`.
  void resume(std::coroutine_handle<> handle) noexcept {
    Scheduler& scheduler = scheduler_;
    suspension_ = nullptr;
    if (scheduler.debug) [[unlikely]] scheduler.note_step(*this, handle);
    scheduler.current = this;
    scheduler.hops = Scheduler::hop_budget;
    handle.resume();
    scheduler.current = nullptr;
    if (TaskContext* ended = scheduler.ended) {
      // The frame is destroyed from here and not from its own final suspension, where g++ 15.2
      // still touches it.
      scheduler.ended = nullptr;
      ended->end();
    }
  }

  /// A turn inside the step of another task, or of a callback, which then goes on.
  void resume_inside(std::coroutine_handle<> handle) noexcept {
    Scheduler& scheduler = scheduler_;
    TaskContext* const creator = scheduler.current;
    const unsigned hops = scheduler.hops;
    ++scheduler.nested;
    resume(handle);
    --scheduler.nested;
    scheduler.hops = hops;
    scheduler.current = creator;
  }

  /// Where a coroutine hands over to another one of the same task: returns it, or, when the budget
  /// of this step is used up, posts it and returns to the loop.
  std::coroutine_handle<> transfer(std::coroutine_handle<> to) noexcept {
    if (--scheduler_.hops != 0) [[likely]] return to;
    post(to);
    return std::noop_coroutine();
  }

  /// The outermost frame has reached its end.
  void mark_ended() noexcept { scheduler_.ended = this; }

  /// The innermost coroutine waits for `suspension`, which has been started.
  void wait_for(Suspension& suspension) noexcept {
    suspension_ = &suspension;
    if (must_cancel_) [[unlikely]] {
      if (suspension.cancel()) must_cancel_ = false;
    }
  }

  /// The call of an executor that the task waits for; null if it waits for something else.
  const JobNode* awaited_call() const noexcept {
    return suspension_ != nullptr ? suspension_->awaited_call() : nullptr;
  }

  /// Whether a request waits for the next suspension point.
  bool must_cancel() const noexcept { return must_cancel_; }

  /// Requests cancellation: reaches the innermost await, or the next one.
  void request_cancel(std::string_view reason);

  /// The loop is ending: requests cancellation in its name, once for each task.
  void ask_to_end();

  int cancel_requests() const noexcept { return cancel_requests_; }

  /// Takes one request back. At none left, a request that was not thrown yet is forgotten.
  int uncancel() noexcept {
    if (cancel_requests_ > 0 && --cancel_requests_ == 0) must_cancel_ = false;
    return cancel_requests_;
  }

  /// Of the latest request that gave one.
  std::string cancel_reason();

  /// A suspension point throws Cancelled: what was requested meanwhile is part of it.
  void absorb_cancel() noexcept { must_cancel_ = false; }
  [[noreturn]] void throw_cancelled();

  /// As `current_stop_token()`.
  std::stop_token stop_token();

  /// What it waits for; null while it runs or is ready to.
  const Suspension* suspension() const noexcept { return suspension_; }
  /// Where it goes on, if it is in the ready queue itself.
  std::coroutine_handle<> resume_point() const noexcept { return resume_point_; }
  /// When it was made, as of the loop's last look at the clock.
  TimePoint made() const noexcept { return made_; }

  /// The state behind the task's futures.
  virtual FutureState& future_state() noexcept = 0;

  /// Destroys the frames of a task that will never run again, because its loop is closed.
  virtual void abandon() noexcept = 0;

  Variables variables;

  TaskContext* next_task = nullptr;  // Scheduler::tasks, later Scheduler::asked
  TaskContext** task_link = nullptr;

 protected:
  ~TaskContext() = default;

  void trip_stop_token() noexcept;  // if there is one

  virtual void end() noexcept = 0;  // takes the outcome out of the frame and destroys it

  void enlist() noexcept {
    made_ = scheduler_.recent;
    enlist_in(scheduler_.tasks);
  }
  void enlist_in(TaskContext*& list) noexcept {
    next_task = list;
    task_link = &list;
    if (next_task != nullptr) next_task->task_link = &next_task;
    list = this;
  }
  void delist() noexcept {
    *task_link = next_task;
    if (next_task != nullptr) next_task->task_link = task_link;
  }

  Scheduler& scheduler_;
  std::coroutine_handle<> resume_point_;
  Suspension* suspension_ = nullptr;

 private:
  TimePoint made_{};

  static const Variables& inherited_variables() noexcept {
    Scheduler* scheduler = current_scheduler;
    if (scheduler != nullptr && scheduler->current != nullptr) [[likely]] {
      return scheduler->current->variables;
    }
    return current_variables();
  }
  void pass_cancel_on() noexcept;
  bool put_cancel_off() noexcept;
  void resume_cancel(std::uint64_t wave, bool ending) noexcept;

  std::uint64_t wave_ = 0;  // the wave that this task is passing on, or whose rest was put off
  int cancel_requests_ = 0;

 protected:
  bool must_cancel_ = false;

 private:
  bool asked_to_end_ = false;
};

/// Whether a task that is created now may take its first step at once: the loop runs on this
/// thread, and not too many are inside one another.
inline bool starts_eagerly(const Scheduler& scheduler) noexcept {
  return current_scheduler == &scheduler && scheduler.nested < Scheduler::nesting_limit;
}

[[noreturn]] SIDING_EXPORT void throw_awaits_itself();

/// The context of the coroutine behind `handle`, which must be one of siding's.
template <class Promise>
TaskContext& context_of(std::coroutine_handle<Promise> handle) noexcept {
  static_assert(requires { handle.promise().context; },
                "siding's awaitables can be awaited only in a coroutine that returns siding::Task: "
                "wrap the call in one");
  return *handle.promise().context;
}

template <class Promise>
void Suspension::suspend(std::coroutine_handle<Promise> handle, Place where) noexcept {
  context_ = &context_of(handle);
  handle.promise().place = where;
  handle_ = handle;
}

void Suspension::resume() noexcept { context_->resume(handle_); }

}  // namespace siding::detail
