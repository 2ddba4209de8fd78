// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_state.hpp>
#include <siding/detail/task_context.hpp>

#include <coroutine>

namespace siding::detail {

/// A coroutine that waits for a future: the part that does not depend on the result type.
class SIDING_EXPORT FutureAwaiterBase : public FutureWaiter, public Suspension {
 public:
  bool await_ready() const noexcept { return state_->done(); }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    return start();
  }
  /// The same for a coroutine that is suspended already.
  bool suspend_in(TaskContext& context, std::coroutine_handle<> handle) {
    context_ = &context;
    handle_ = handle;
    return await_ready() ? false : start();
  }

  // Loop thread: the future is done, or the wait was cancelled.
  void run() noexcept override {
    on_the_way_ = false;
    count_out();
    resume();
  }
  void refuse() noexcept override {
    on_the_way_ = false;
    count_out();
  }
  bool cancel() noexcept override;
  bool give_up() noexcept override;
  const JobNode* awaited_call() noexcept override { return state_->job(); }
  void describe(FixedText& text) const noexcept override { state_->describe(text); }

 protected:
  explicit FutureAwaiterBase(FutureState& state) noexcept : state_(&state) {}
  ~FutureAwaiterBase() {
    if (retained_) let_go();
  }

  void finish() {
    if (cancelled_) context_->throw_cancelled();
    state_->mark_read();
    // The future was cancelled along with the task: one Cancelled stands for all requests so far.
    if (context_ != nullptr && state_->outcome() == FutureState::Outcome::cancelled) {
      context_->absorb_cancel();
    }
  }

  FutureState* state_;
  // Whether the wait holds a reference of its own: the awaited handle may go while it lasts. Without
  // suspending there is no need.
  bool retained_ = false;

 private:
  bool start();
  void let_go() noexcept;
  void count_out() noexcept;

  // Loop thread: linked, posted or in the inbox; `run` or `refuse` is still to come.
  bool on_the_way_ = false;
  bool counted_ = false;  // in Scheduler::offloaded
};

/// `co_await future` on an lvalue.
template <class T>
class FutureAwaiter final : public FutureAwaiterBase {
 public:
  explicit FutureAwaiter(ValueState<T>& state) noexcept : FutureAwaiterBase(state) {}
  stored_cref_t<T> await_resume() {
    finish();
    return static_cast<ValueState<T>*>(state_)->view();
  }
};

/// `co_await any_future`: no value is looked at.
template <>
class FutureAwaiter<void> final : public FutureAwaiterBase {
 public:
  explicit FutureAwaiter(FutureState& state) noexcept : FutureAwaiterBase(state) {}
  void await_resume() {
    finish();
    state_->check_value();
  }
};

/// `co_await std::move(future)`, and of the temporary that a function returned.
template <class T>
class FutureTaker final : public FutureAwaiterBase {
 public:
  explicit FutureTaker(ValueState<T>& state) noexcept : FutureAwaiterBase(state) {}
  T await_resume() {
    finish();
    // The handle that is awaited holds one reference, and this wait perhaps another.
    return static_cast<ValueState<T>*>(state_)->take(retained_ ? 2 : 1);
  }
};

}  // namespace siding::detail
