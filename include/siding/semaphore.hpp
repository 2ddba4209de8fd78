// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/waiter_list.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

namespace siding {

class Semaphore;

namespace detail {
class SemaphoreAwaiter;
}

/// Permits that tasks of one loop take and give back: so many at a time. asyncio's `Semaphore`, and
/// with a bound its `BoundedSemaphore`.
///
///     auto permit = co_await connections.acquire();
///
/// The permit has to be named: `co_await connections.acquire();` alone gives it back at once. clang
/// warns there, g++ 12 does not.
///
/// With a bound it is also a limiter (anyio's `CapacityLimiter`): bound() are there in all, value()
/// of them are free, waiting() tasks wait, and the bound can be changed meanwhile.
///
/// Fairness: first come, first served. A permit that is given back goes to the first who waits, who
///   has it from that moment on; nobody overtakes.
/// Thread safety: distinct objects: safe. Shared objects: loop thread only. May be made before any
///   loop runs. Tasks of two loops cannot wait for one semaphore: InvalidStateError. Giving back a
///   permit for which a task waits whose loop runs on another thread throws std::logic_error, and
///   ends the program if it is the permit's destructor.
/// Lifetime: must outlive its permits. Destroying it ends the waits that are left with
///   InvalidStateError.
/// Complexity: with a permit free no suspension, no allocation and no atomic operation; waiting
///   allocates nothing either.
class SIDING_EXPORT Semaphore {
 public:
  /// Holds one permit and gives it back at the end of its life.
  class [[nodiscard("dropping the permit gives it back at once")]] Permit {
   public:
    /// Holds nothing.
    Permit() noexcept = default;
    Permit(Permit&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      if (this == &other) return *this;
      drop();
      owner_ = std::exchange(other.owner_, nullptr);
      return *this;
    }
    ~Permit() { drop(); }

    explicit operator bool() const noexcept { return owner_ != nullptr; }

    /// Gives it back now. Throws: InvalidStateError if it holds nothing.
    void release();
    /// Forgets it: somebody else will call Semaphore::release().
    void detach() noexcept { owner_ = nullptr; }

   private:
    friend Semaphore;
    friend detail::SemaphoreAwaiter;

    explicit Permit(Semaphore& owner) noexcept : owner_(&owner) {}
    void drop() noexcept {
      if (owner_ != nullptr) owner_->give_back();
      owner_ = nullptr;
    }

    Semaphore* owner_ = nullptr;
  };

  /// Parameters:
  ///   count  permits that are free at first; not negative.
  ///   bound  how many there are at most; not less than `count`. None by default.
  /// Throws: std::invalid_argument.
  explicit Semaphore(std::ptrdiff_t count, std::optional<std::ptrdiff_t> bound = std::nullopt);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Waits until a permit is free and takes it.
  ///
  /// Returns: the permit. Throws: Cancelled; InvalidStateError as above.
  /// Thread safety: loop thread.
  /// Cancellation: leaves the queue and throws Cancelled, also where a permit was handed over
  ///   already and the task had not resumed yet: then the next in the queue gets it.
  detail::WaitOn<detail::SemaphoreAwaiter, Semaphore> acquire() noexcept;

  /// Takes a permit if one is free, else gives an empty one.
  Permit try_acquire() noexcept {
    if (!take()) return Permit();
    return Permit(*this);
  }

  /// Adds a permit, or gives back one that was detached.
  /// Throws: InvalidStateError if all that the bound allows are free already, or if there is no bound
  ///   and their number cannot be counted any more.
  void release();

  /// Permits that are free. Negative while more are out than a lowered bound allows.
  std::ptrdiff_t value() const noexcept { return value_; }
  std::optional<std::ptrdiff_t> bound() const noexcept { return bound_; }
  /// Tasks that wait for a permit.
  std::size_t waiting() const noexcept { return waiting_.size(); }

  /// Changes how many permits there are in all. Raised, those who wait get the new ones at once;
  /// lowered, permits that are out stay out, and so many that are given back are gone.
  /// Throws: std::invalid_argument if it is negative; InvalidStateError on a semaphore without
  ///   bound.
  void set_bound(std::ptrdiff_t bound);

 private:
  friend detail::SemaphoreAwaiter;

  bool take() noexcept {
    if (value_ <= 0) return false;
    --value_;
    return true;
  }
  void give_back() {
    if (!waiting_.empty()) [[unlikely]] waiting_.check_thread("releasing a Semaphore");
    ++value_;
    if (!waiting_.empty()) [[unlikely]] hand_out();
  }
  void hand_out() noexcept;

  std::ptrdiff_t value_;  // more than 0: nobody waits
  std::optional<std::ptrdiff_t> bound_;
  detail::HomeLoop home_;
  detail::WaiterList waiting_;
  detail::WaiterList granted_;  // were handed a permit and have not resumed
};

namespace detail {

class SIDING_EXPORT SemaphoreAwaiter final : public Waiter {
 public:
  using value_type = Semaphore::Permit;

  explicit SemaphoreAwaiter(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}
  ~SemaphoreAwaiter() {
    if (ending_ == Ending::granted) [[unlikely]] give_back();
  }

  bool await_ready() noexcept {
    if (!semaphore_.take()) return false;
    ending_ = Ending::granted;
    return true;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  Semaphore::Permit await_resume() {
    if (ending_ != Ending::granted) [[unlikely]] check_ending("Semaphore::acquire");
    ending_ = Ending::none;
    return Semaphore::Permit(semaphore_);
  }

  bool cancel() noexcept override;
  const char* waits_for() const noexcept override { return "a Semaphore"; }

 private:
  void start();
  void give_back() noexcept;

  Semaphore& semaphore_;
};

}  // namespace detail

inline detail::WaitOn<detail::SemaphoreAwaiter, Semaphore> Semaphore::acquire() noexcept {
  return detail::WaitOn<detail::SemaphoreAwaiter, Semaphore>(*this);
}

}  // namespace siding
