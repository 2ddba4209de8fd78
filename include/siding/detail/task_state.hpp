// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_state.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/task.hpp>

#include <atomic>
#include <cstdint>
#include <coroutine>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

namespace siding::detail {

/// LoopClosed, for tasks whose loop was closed under them.
SIDING_EXPORT std::exception_ptr make_closed_error() noexcept;

/// Posts a cancellation request to the loop of a task. Any thread. False if the task has ended.
SIDING_EXPORT bool post_cancel(Scheduler& scheduler, FutureState& state, std::string_view reason);

/// Who is told that a task has ended: nobody.
struct NoObserver {
  struct Rest {
    static void completed() noexcept {}
  };
  static Rest rest() noexcept { return {}; }
  // Before its futures are done. True: the error has been taken note of, and need not be reported if
  // nobody reads it.
  static bool ended(FutureState::Outcome, const std::exception_ptr&) noexcept { return false; }
  static void abandoned() noexcept {}
};

/// Marks a task that another thread than its loop's makes.
struct FromOutside {};

/// A spawned task: the future's state and the task's context in one allocation, beside the frame,
/// which is destroyed when the task ends although handles live on.
template <class T, class Observer = NoObserver>
class TaskState final : public ValueState<T>, public TaskContext {
  using Outcome = FutureState::Outcome;

 public:
  /// Takes the frame over and schedules its first step; if it is eager, start_now() or
  /// start_later() is to follow. The loop holds one reference, beside those of the `handles` that
  /// are about to be made.
  template <class... Args>
  TaskState(Scheduler& scheduler, Task<T>& task, std::uint32_t handles, bool eager,
            Args&&... observer)
      : ValueState<T>(FutureState::Origin::task, handles + 1),
        TaskContext(scheduler),
        observer_(std::forward<Args>(observer)...) {
    if constexpr (sizeof...(observer) != 0) observer_.watch(*this);
    frame_ = TaskFrame::release(task);
    frame_.promise().context = this;
    enlist();
    if (!eager) post(frame_);
  }
  /// The same on another thread than the loop's, whose list and queue come to know it in arrive().
  TaskState(Scheduler& scheduler, Task<T>& task, FromOutside)
      : ValueState<T>(FutureState::Origin::task, 2), TaskContext(scheduler) {
    frame_ = TaskFrame::release(task);
    frame_.promise().context = this;
  }

  /// The first step of an eager one, inside its creator's. The state may be gone on return, if
  /// nobody holds a handle.
  void start_now() noexcept {
    started_.store(true, std::memory_order_relaxed);
    resume_inside(frame_);
  }
  /// The same in the next iteration after all.
  void start_later() noexcept { post(frame_); }

  // Loop thread. A cancellation in the name of the loop's end may have listed it before.
  void arrive() noexcept {
    if (task_link == nullptr) enlist();
    post(frame_);
  }
  // The loop was closed before: it abandons those that it has listed.
  void refuse_arrival() noexcept {
    if (task_link == nullptr) abandon();
  }

  // The task's first step, or one that went on after its hop budget was used up.
  void run() noexcept override {
    if (!started_.load(std::memory_order_relaxed)) {
      if (must_cancel_) [[unlikely]] return settle(Outcome::cancelled, nullptr);
      started_.store(true, std::memory_order_relaxed);
    }
    resume(std::exchange(resume_point_, nullptr));
  }
  // The loop is being closed; abandon() follows.
  void refuse() noexcept override {}

  void abandon() noexcept override {
    observer_.abandoned();
    // What the frame's destructors wait for may wait for the token. A task that has not started has
    // none, and is perhaps abandoned on another thread than the loop's.
    if (running()) this->TaskContext::trip_stop_token();
    destroy_frame();
    if (task_link != nullptr) delist();
    this->mark_read();
    this->complete(Outcome::error, make_closed_error(), true);
  }

  bool cancel(const CancelOptions& options) override {
    if (this->done()) return false;
    if (current_scheduler != &scheduler_) {
      return post_cancel(scheduler_, *this, options.reason);
    }
    request_cancel(options.reason);
    return true;
  }
  bool running() const noexcept override { return started_.load(std::memory_order_relaxed); }
  int cancelling() const noexcept override { return cancel_requests(); }
  int uncancel() noexcept override { return TaskContext::uncancel(); }
  FutureState& future_state() noexcept override { return *this; }

 private:
  void end() noexcept override {
    Result<T>& result = frame_.promise().result;
    if (result.has_error()) [[unlikely]] {
      std::exception_ptr error = std::move(result.error());
      const Outcome outcome = is_cancelled(error) ? Outcome::cancelled : Outcome::error;
      return settle(outcome, std::move(error));
    }
    // As in asyncio: a request that found no suspension point any more still counts.
    if (must_cancel_) [[unlikely]] return settle(Outcome::cancelled, nullptr);
    try {
      this->emplace(std::move(result.value()));
    } catch (...) {
      return settle(Outcome::error, std::current_exception());
    }
    destroy_frame();
    delist();
    const auto rest = observer_.rest();  // the state may be gone after it was completed
    observer_.ended(Outcome::value, nullptr);
    this->complete(Outcome::value, true);
    rest.completed();
  }

  void settle(Outcome outcome, std::exception_ptr error) noexcept {
    destroy_frame();
    delist();
    const auto rest = observer_.rest();
    if (observer_.ended(outcome, error)) this->mark_read();
    this->complete(outcome, std::move(error), true);
    rest.completed();
  }

  void destroy_frame() noexcept { std::exchange(frame_, nullptr).destroy(); }

  std::coroutine_handle<TaskPromise<T>> frame_;
  [[no_unique_address]] Observer observer_;
  std::atomic<bool> started_{false};  // written by the loop, read by anybody who asks running()
};

}  // namespace siding::detail
