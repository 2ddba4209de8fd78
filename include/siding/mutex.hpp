// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/waiter_list.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <utility>

namespace siding {

class Condition;
class Mutex;

namespace detail {
class LockAwaiter;
class ConditionAwaiter;
}  // namespace detail

/// A lock between tasks of one loop: held across suspension points by one task at a time.
///
/// asyncio's `Lock`. Code between two suspension points needs none, since no other task runs there.
/// A `std::mutex` would block the loop. There is no `unlock()`, so `std::lock_guard` and
/// `std::scoped_lock` do not compile with it: the guard releases.
///
///     auto guard = co_await mutex.lock();
///
/// The guard has to be named: `co_await mutex.lock();` alone locks and releases at once. clang
/// warns there, g++ 12 does not.
///
/// Fairness: first come, first served. A lock that is released goes to the first who waits, who has
///   it from that moment on; nobody overtakes.
/// Thread safety: distinct objects: safe. Shared objects: loop thread only. May be made before any
///   loop runs. Tasks of two loops cannot wait for one mutex: InvalidStateError. A release that
///   would have to wake a task of a loop that runs on another thread throws std::logic_error, and
///   ends the program if it is the guard's destructor.
/// Lifetime: destroying it ends the waits that are left with InvalidStateError and empties the
///   guard that holds it.
/// Complexity: without contention no suspension, no allocation and no atomic operation; waiting
///   allocates nothing either.
class SIDING_EXPORT Mutex {
 public:
  /// Holds a mutex and releases it at the end of its life.
  class [[nodiscard("dropping the guard releases the mutex at once")]] Guard {
   public:
    /// Holds nothing.
    Guard() noexcept = default;
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {
      if (mutex_ != nullptr && mutex_->guard_ == &other) mutex_->guard_ = this;
    }
    Guard& operator=(Guard&& other) noexcept {
      if (this == &other) return *this;
      drop();
      mutex_ = std::exchange(other.mutex_, nullptr);
      if (mutex_ != nullptr && mutex_->guard_ == &other) mutex_->guard_ = this;
      return *this;
    }
    ~Guard() { drop(); }

    /// Whether it holds a mutex. During a wait on a `Condition` it does, though others may lock.
    explicit operator bool() const noexcept { return mutex_ != nullptr; }

    /// Releases the mutex now; the guard is empty then. Throws: InvalidStateError if it holds none,
    /// or during a wait on a `Condition`.
    void release();

   private:
    friend Mutex;
    friend detail::LockAwaiter;
    friend detail::ConditionAwaiter;

    explicit Guard(Mutex& mutex) noexcept : mutex_(&mutex) { mutex.guard_ = this; }
    void drop() noexcept {
      // During a wait on a condition the mutex is not this guard's, and may be another one's.
      if (mutex_ != nullptr && mutex_->guard_ == this) mutex_->let_go();
      mutex_ = nullptr;
    }

    Mutex* mutex_ = nullptr;
  };

  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  ~Mutex() {
    if (guard_ != nullptr) guard_->mutex_ = nullptr;
  }

  /// Waits until the mutex is free and takes it.
  ///
  /// Returns: the guard. Throws: Cancelled; InvalidStateError as above.
  /// Thread safety: loop thread.
  /// Cancellation: leaves the queue and throws Cancelled, also where the mutex was handed over
  ///   already and the task had not resumed yet: then the next in the queue gets it.
  detail::WaitOn<detail::LockAwaiter, Mutex> lock() noexcept;

  /// Takes the mutex if it is free, else gives an empty guard.
  Guard try_lock() noexcept {
    if (!take()) return Guard();
    return Guard(*this);
  }

  /// Whether somebody holds it, or was handed it.
  bool locked() const noexcept { return locked_; }

 private:
  friend Condition;
  friend detail::LockAwaiter;
  friend detail::ConditionAwaiter;

  bool take() noexcept { return !std::exchange(locked_, true); }
  // Not noexcept by its nature: see the thread safety of the destructor of a guard.
  void let_go() {
    if (waiting_.empty()) [[likely]] {
      guard_ = nullptr;
      locked_ = false;
    } else {
      hand_over();
    }
  }
  void hand_over();

  bool locked_ = false;
  Guard* guard_ = nullptr;      // of who holds it; null if that one has not resumed yet
  detail::HomeLoop home_;
  detail::WaiterList waiting_;
  detail::WaiterList granted_;  // was handed it and has not resumed: one at most
};

namespace detail {

class SIDING_EXPORT LockAwaiter final : public Waiter {
 public:
  using value_type = Mutex::Guard;

  explicit LockAwaiter(Mutex& mutex) noexcept : mutex_(mutex) {}
  /// Notes down which task it was that locked. Defined in condition.hpp.
  inline explicit LockAwaiter(Condition& condition) noexcept;
  ~LockAwaiter() {
    if (ending_ == Ending::granted) [[unlikely]] give_back();
  }

  bool await_ready() noexcept {
    if (!mutex_.take()) return false;
    ending_ = Ending::granted;
    return true;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  Mutex::Guard await_resume() {
    if (ending_ != Ending::granted) [[unlikely]] check_ending("Mutex::lock");
    ending_ = Ending::none;
    if (holder_ != nullptr) *holder_ = current_scheduler->current;
    return Mutex::Guard(mutex_);
  }

  bool cancel() noexcept override;
  const char* waits_for() const noexcept override { return "a Mutex"; }

 private:
  void start();
  void give_back() noexcept;

  Mutex& mutex_;
  const TaskContext** holder_ = nullptr;
};

}  // namespace detail

inline detail::WaitOn<detail::LockAwaiter, Mutex> Mutex::lock() noexcept {
  return detail::WaitOn<detail::LockAwaiter, Mutex>(*this);
}

}  // namespace siding
