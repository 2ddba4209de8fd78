// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/guard.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/detail/waiter_list.hpp>
#include <siding/export.hpp>
#include <siding/mutex.hpp>
#include <siding/task.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace siding {

class Condition;

namespace detail {
template <class P>
Task<void> wait_until(Condition& condition, P predicate);
}

/// Lets tasks of one loop wait until another one has changed something, under a mutex of its own.
/// asyncio's `Condition`.
///
/// Where the code that changes and tests the state has no suspension point in it, an `Event` or a
/// `Queue` is simpler.
///
///     auto guard = co_await condition.lock();
///     co_await condition.wait([&] { return ready; });
///
/// Thread safety: distinct objects: safe. Shared objects: loop thread only. May be made before any
///   loop runs. Tasks of two loops cannot wait for one condition: InvalidStateError.
/// Lifetime: destroying it ends the waits that are left with InvalidStateError, and empties all
///   guards. A guard must not be moved while its task waits.
/// Complexity: wait() without a predicate allocates nothing.
class SIDING_EXPORT Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Waits until the mutex is free and takes it. As `Mutex::lock`, also in its cancellation.
  detail::WaitOn<detail::LockAwaiter, Condition> lock() noexcept;
  bool locked() const noexcept { return mutex_.locked(); }

  /// Releases the mutex, waits for a notification, and takes the mutex again. The task's guard
  /// stays as it is.
  ///
  /// No wake-up comes without a notification, but what was notified may have changed again until
  /// the mutex was free: use the form with a predicate.
  /// Throws: InvalidStateError if the task that calls it has not locked the mutex; Cancelled.
  /// Thread safety: loop thread.
  /// Cancellation: takes the mutex again, waiting for it if it must, and then throws Cancelled. A
  ///   notification that the task had got goes to the next one.
  detail::WaitOn<detail::ConditionAwaiter, Condition> wait() noexcept;

  /// Waits until `predicate()` holds: tests it, with the mutex held, at once and after each
  /// notification.
  ///
  /// Parameters:
  ///   predicate  called with the mutex held; kept until the wait has ended. What it throws is
  ///     thrown here.
  /// Throws, cancellation: as wait().
  /// Complexity: one frame, from a free list.
  template <class P>
    requires std::predicate<std::decay_t<P>&>
  TaskOp<void, detail::guard<P>> wait(P&& predicate) {
    return TaskOp<void, detail::guard<P>>(
        detail::wait_until<std::decay_t<P>>(*this, std::forward<P>(predicate)));
  }

  /// Wakes the `n` that have waited longest, or fewer. They go on when the mutex is free, in that
  /// order, behind those that wait for it already.
  /// Throws: InvalidStateError if the task that calls it has not locked the mutex.
  void notify(std::size_t n = 1);
  /// Wakes all that wait.
  void notify_all() { notify(static_cast<std::size_t>(-1)); }

  /// Not for users: throws InvalidStateError unless the running task has locked the mutex.
  void check_held(const char* what) const;

 private:
  friend detail::LockAwaiter;
  friend detail::ConditionAwaiter;

  Mutex mutex_;
  const detail::TaskContext* holder_ = nullptr;  // the last task that locked; never looked into
  detail::WaiterList waiting_;                   // for a notification
};

namespace detail {

inline LockAwaiter::LockAwaiter(Condition& condition) noexcept
    : mutex_(condition.mutex_), holder_(&condition.holder_) {}

/// Waits for a notification in the condition's list, then for the mutex in that one's list.
class SIDING_EXPORT ConditionAwaiter final : public Waiter {
 public:
  using value_type = void;

  explicit ConditionAwaiter(Condition& condition) noexcept : condition_(condition) {}
  ~ConditionAwaiter() {
    if (ending_ == Ending::granted) [[unlikely]] give_back();
  }

  bool await_ready() const {
    condition_.check_held("Condition::wait");
    return false;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  void await_resume();

  bool cancel() noexcept override;
  const char* waits_for() const noexcept override { return "a Condition"; }
  void orphaned() noexcept override;

 private:
  friend Condition;

  void start();
  void notify() noexcept;
  void lock_again() noexcept;
  void give_back() noexcept;

  Condition& condition_;
  Mutex::Guard* guard_ = nullptr;  // the task's, which holds nothing meanwhile
  bool notified_ = false;
};

template <class P>
Task<void> wait_until(Condition& condition, P predicate) {
  condition.check_held("Condition::wait");
  while (!predicate()) {
    co_await condition.wait();
  }
}

}  // namespace detail

inline detail::WaitOn<detail::LockAwaiter, Condition> Condition::lock() noexcept {
  return detail::WaitOn<detail::LockAwaiter, Condition>(*this);
}
inline detail::WaitOn<detail::ConditionAwaiter, Condition> Condition::wait() noexcept {
  return detail::WaitOn<detail::ConditionAwaiter, Condition>(*this);
}

}  // namespace siding
