// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/task_context.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <concepts>
#include <coroutine>

namespace siding {

namespace detail {

/// Waits for a timer, for the next iteration, or, without a limit, for a cancellation.
class SIDING_EXPORT SleepAwaiter final : public TimerNode, public Suspension {
 public:
  explicit SleepAwaiter(Limit length) noexcept : length_(length) {}
  ~SleepAwaiter();

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  void await_resume() {
    if (cancelled_) context_->throw_cancelled();
  }

  void due(Scheduler& scheduler) noexcept override { scheduler.ready.push(*this); }
  void run() noexcept override {
    waiting_ = false;
    resume();
  }
  void refuse() noexcept override { waiting_ = false; }
  bool cancel() noexcept override;
  void describe(FixedText& text) const noexcept override;

 private:
  void start();

  Limit length_;
  bool waiting_ = false;  // neither run() nor refuse() has come yet
};

}  // namespace detail

/// What `sleep()` and `yield()` return.
class [[nodiscard("nothing happens until this is awaited")]] SleepOp {
 public:
  using value_type = void;
  explicit SleepOp(Limit length) noexcept : length_(length) {}
  detail::SleepAwaiter operator co_await() const noexcept {
    return detail::SleepAwaiter(length_);
  }

 private:
  Limit length_;
};

/// Suspends the task for at least `length`, measured by the loop's clock from the await.
///
/// Parameters:
///   length  any chrono duration. Zero or less gives every task that is ready one turn. No limit
///           sleeps until it is cancelled.
/// Throws: Cancelled.
/// Thread safety: loop thread. Another task runs meanwhile.
/// Cancellation: ends the sleep at once and takes its timer away.
/// Accuracy: never early. An isolated timer fires when it is due; where many are armed, wake-ups
///   for timers alone are at least 500 us apart.
inline SleepOp sleep(Limit length) noexcept { return SleepOp(length); }

/// With `using namespace siding`, `sleep(1)` would be POSIX's and block the loop: write `1s`.
template <std::integral T>
void sleep(T) = delete;

/// Gives every task that is ready one turn: `sleep(0s)`.
inline SleepOp yield() noexcept { return SleepOp(Limit(std::chrono::nanoseconds(0))); }

}  // namespace siding
