// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/waiter_list.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <cstddef>

namespace siding {

class Barrier;

namespace detail {
class BarrierAwaiter;
}

/// Holds tasks of one loop until so many have arrived, then lets all of them pass, again and again.
/// asyncio's `Barrier`.
///
/// States:
///
///   filling  fewer than parties() wait. The last arrival releases all, and the next round begins
///   at
///            once.
///   broken   after abort(): every wait throws BrokenBarrier, until reset().
///
/// Thread safety: distinct objects: safe. Shared objects: loop thread only. May be made before any
///   loop runs. Tasks of two loops cannot wait at one barrier: InvalidStateError.
/// Lifetime: may be destroyed when all have been released. Destroying it while tasks wait ends
///   their waits with InvalidStateError.
/// Complexity: allocates nothing.
class SIDING_EXPORT Barrier {
 public:
  /// Throws: std::invalid_argument if `parties` is 0, or a negative number before it was converted.
  explicit Barrier(std::size_t parties);
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  /// Waits until parties() tasks have arrived; the last one does not wait.
  ///
  /// Returns: which arrival of its round this was: 0 for the first, each number once.
  /// Throws: BrokenBarrier; Cancelled; InvalidStateError as above.
  /// Thread safety: loop thread.
  /// Cancellation: ends the wait and throws Cancelled; the task counts as not arrived. If all had
  ///   arrived already, and the task had not resumed yet, it passes, and the request is thrown at
  ///   the next suspension point.
  detail::WaitOn<detail::BarrierAwaiter, Barrier> wait() noexcept;

  /// Ends all waits with BrokenBarrier and begins anew; mends a broken barrier.
  void reset();
  /// Ends all waits with BrokenBarrier, and all later ones until reset().
  void abort();

  std::size_t parties() const noexcept { return parties_; }
  /// Tasks that wait now.
  std::size_t waiting() const noexcept { return waiting_.size(); }
  bool broken() const noexcept { return broken_; }

 private:
  friend detail::BarrierAwaiter;

  void release();
  void refuse(const char* what);

  std::size_t parties_;
  bool broken_ = false;
  detail::HomeLoop home_;
  detail::WaiterList waiting_;
};

namespace detail {

class SIDING_EXPORT BarrierAwaiter final : public Waiter {
 public:
  using value_type = std::size_t;

  explicit BarrierAwaiter(Barrier& barrier) noexcept : barrier_(barrier) {}

  bool await_ready();
  const char* waits_for() const noexcept override { return "a Barrier"; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  std::size_t await_resume();

 private:
  friend Barrier;

  void start();

  Barrier& barrier_;
  std::size_t index_ = 0;
};

}  // namespace detail

inline detail::WaitOn<detail::BarrierAwaiter, Barrier> Barrier::wait() noexcept {
  return detail::WaitOn<detail::BarrierAwaiter, Barrier>(*this);
}

}  // namespace siding
