// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_awaiter.hpp>
#include <siding/detail/future_callback.hpp>
#include <siding/detail/future_state.hpp>
#include <siding/detail/guard.hpp>
#include <siding/error.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

namespace siding {

namespace detail {
struct FutureAccess;
[[noreturn]] SIDING_EXPORT void throw_no_future();
}

/// How far the work behind a future has come.
enum class FutureStatus : unsigned char {
  pending,    ///< it has not begun
  running,    ///< a worker runs the call, or the task has started
  value,      ///< it gave a value
  error,      ///< it failed
  cancelled,  ///< it was cancelled
};

/// One look at a future.
struct FutureSnapshot {
  FutureStatus status = FutureStatus::pending;
  std::exception_ptr error{};  ///< the error, or a `Cancelled`; null for all others

  bool done() const noexcept { return status >= FutureStatus::value; }
};

/// A handle to something that is running already, whatever its result type.
///
/// A spawned task, an executor's job or a `Promise`: copying copies the handle, not the work, and
/// dropping it changes nothing. `Future<T>` adds the result.
///
/// Thread safety: distinct objects: safe, also where they are handles to the same work. Shared
/// objects: unsafe to assign.
class SIDING_EXPORT AnyFuture {
 public:
  using value_type = void;

  /// Names a registered callback.
  class CallbackId {
   public:
    std::uint64_t value = 0;
  };

  /// An empty handle, as one that was moved from: neither done nor running, and what needs a future
  /// throws InvalidStateError.
  AnyFuture() noexcept = default;
  AnyFuture(const AnyFuture& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->retain();
  }
  AnyFuture(AnyFuture&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  AnyFuture& operator=(AnyFuture other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~AnyFuture() {
    if (state_ != nullptr) state_->release();
  }

  bool valid() const noexcept { return state_ != nullptr; }
  /// Whether there is an outcome: a value, an error, or cancelled.
  bool done() const noexcept { return valid() && state_->done(); }
  /// Whether a worker runs the call now, or the task has started.
  bool running() const noexcept { return valid() && !state_->done() && state_->running(); }
  bool cancelled() const noexcept {
    return done() && state_->outcome() == detail::FutureState::Outcome::cancelled;
  }

  /// Requests cancellation, by the rule of what stands behind the future:
  ///
  ///   from               not started               running
  ///   create_task        ends cancelled, unrun     thrown at its innermost await; true
  ///   run_in_executor    taken back; true          cancelled at once, its std::stop_token is
  ///                                                 tripped, the function runs on; true
  ///   executor.submit    taken back; true          false, nothing changes
  ///   Promise            cancelled; true           after start(): false
  ///
  /// A done future: false. Thread safety: any thread; a task's cancellation is posted to its loop.
  bool cancel(CancelOptions options = {}) const { return some().cancel(options); }

  /// Trips the `std::stop_token` of a call that takes one; false if there is none.
  bool request_stop() const noexcept { return valid() && state_->request_stop(); }

  /// How many cancellation requests a task has that were not taken back. Loop thread.
  int cancelling() const noexcept { return valid() ? state_->cancelling() : 0; }
  /// Takes one back and returns how many are left. Loop thread.
  int uncancel() const noexcept { return valid() ? state_->uncancel() : 0; }

  /// The error, null for a value, and a `Cancelled` for a cancelled future.
  /// Throws: InvalidStateError if it is not done.
  std::exception_ptr exception() const;

  /// Status and error as they were at one moment, while the future may complete on another thread.
  /// An empty handle is pending. Counts as having looked at the error. Any thread.
  FutureSnapshot snapshot() const;

  /// The name given at the start, or a made one that is unique in the process.
  std::string name() const { return some().name(); }
  void set_name(std::string_view name) const { some().set_name(name); }

  /// Calls `fn` once when the future is done, with the future or with nothing.
  ///
  /// Registered on a loop's thread it runs on that loop, posted, also if the future is done
  /// already; elsewhere it runs in the thread that completes, or at once if the future is done.
  /// Callbacks run in the order in which they were added. What one throws is reported and does not
  /// stop the others. If its loop is closed first, it is destroyed unrun.
  /// Thread safety: any thread.
  template <class Fn>
    requires std::invocable<Fn&, const AnyFuture&> || std::invocable<Fn&>
  CallbackId add_done_callback(Fn fn) const {
    return CallbackId{detail::add_callback<AnyFuture>(*this, some(), std::move(fn))};
  }

  /// Destroys a callback unrun. False if it has run, is about to, or is not of this future.
  ///
  /// Unlike asyncio's it takes one registration away, and not all of one function: closures cannot be
  /// compared, so each registration has an id. Thread safety: any thread.
  bool remove_done_callback(CallbackId id) const {
    return detail::remove_callback(some(), id.value);
  }

  /// Whether both are handles to the same work.
  bool operator==(const AnyFuture& other) const noexcept = default;
  std::size_t hash() const noexcept { return std::hash<const void*>()(state_); }

  /// Waits until it is done; throws its error, or Cancelled.
  /// Cancellation: cancels what stands behind the future; where that says no, only the wait ends.
  detail::FutureAwaiter<void> operator co_await() const;

 protected:
  explicit AnyFuture(detail::FutureState* state) noexcept : state_(state) {}
  void check_done() const;
  /// Throws InvalidStateError if the handle is empty.
  detail::FutureState& some() const {
    if (state_ == nullptr) [[unlikely]] detail::throw_no_future();
    return *state_;
  }

  detail::FutureState* state_ = nullptr;

 private:
  friend struct detail::FutureAccess;
};

/// For people: the name, the status, and of a finished future the type of its value or error, as in
/// `<future call-1 finished: int>`. Does not count as having looked at the error. Any thread.
SIDING_EXPORT std::string to_string(const AnyFuture& future);
SIDING_EXPORT std::ostream& operator<<(std::ostream& out, const AnyFuture& future);

/// A handle to something that is running already and that gives a `T`.
///
/// One type for a spawned task, an executor's job and a `Promise`. Await it any number of times on
/// a loop, or `get()` it on a plain thread.
///
/// Reading: on an lvalue the value stays where it is (`const T&`, valid while a handle lives); on an
/// rvalue you get a `T`, moved out if this is the only handle or if `T` cannot be copied, else
/// copied. A value that was moved out is gone for every handle: the next read throws
/// InvalidStateError.
///
/// Cancellation: a task that is cancelled while it awaits a future calls `cancel()` on it; see
/// `AnyFuture::cancel`. A cancelled future throws `Cancelled` where it is awaited.
/// Thread safety: as `AnyFuture`.
template <class T = void>
class Future : public AnyFuture {
 public:
  using value_type = T;

  Future() noexcept = default;

  /// The outcome of a done future; throws its error, `Cancelled`, or InvalidStateError if not done.
  detail::stored_cref_t<T> result() const& {
    check_done();
    return state().view();
  }
  T result() && {
    check_done();
    return state().take();
  }

  /// The same, but waits, blocking the calling thread.
  ///
  /// Parameters:
  ///   limit  how long to wait at most; none by default.
  /// Throws: what the work threw; Cancelled, which is no std::exception, if it was cancelled;
  ///   TimeoutError if it is late (the future stays usable); WouldBlockLoop on the thread of a
  ///   running loop, unless the future is done.
  detail::stored_cref_t<T> get(Limit limit = {}) const& {
    some().wait_blocking(limit);
    return state().view();
  }
  T get(Limit limit = {}) && {
    some().wait_blocking(limit);
    return state().take();
  }

  template <class Fn>
    requires std::invocable<Fn&, const Future&> || std::invocable<Fn&>
  CallbackId add_done_callback(Fn fn) const {
    return CallbackId{detail::add_callback<Future>(*this, some(), std::move(fn))};
  }

  detail::FutureAwaiter<T> operator co_await() const& { return detail::FutureAwaiter<T>(state()); }
  detail::FutureTaker<T> operator co_await() && { return detail::FutureTaker<T>(state()); }

 protected:
  friend struct detail::FutureAccess;
  explicit Future(detail::ValueState<T>* state) noexcept : AnyFuture(state) {}
  detail::ValueState<T>& state() const { return static_cast<detail::ValueState<T>&>(some()); }
};

/// What a hot function returns on a compiler with the temporaries bug when it was given a temporary
/// that the bug would hit: a `Future<T>` that can be stored, but not awaited as an rvalue.
template <class T>
class GuardedFuture : public Future<T> {
 public:
  static constexpr bool guarded = true;
  explicit GuardedFuture(Future<T> future) noexcept : Future<T>(std::move(future)) {}

  detail::FutureAwaiter<T> operator co_await() const& { return Future<T>::operator co_await(); }
  template <class Self = T>
  detail::FutureTaker<T> operator co_await() && {
    static_assert(sizeof(Self) == 0, SIDING_GUARD_MESSAGE);
    return static_cast<Future<T>&&>(*this).operator co_await();
  }
};

/// The result of a hot function: `Future<T>` itself unless a hazardous temporary was passed.
template <class T, bool G>
using Started = std::conditional_t<G, GuardedFuture<T>, Future<T>>;

namespace detail {

/// Makes handles from states and back, for the library.
struct FutureAccess {
  /// Takes over one reference.
  template <class T>
  static Future<T> adopt(ValueState<T>* state) noexcept {
    return Future<T>(state);
  }
  static AnyFuture adopt_any(FutureState* state) noexcept { return AnyFuture(state); }
  static FutureState* state(const AnyFuture& future) noexcept { return future.state_; }
};

}  // namespace detail

inline detail::FutureAwaiter<void> AnyFuture::operator co_await() const {
  return detail::FutureAwaiter<void>(some());
}

}  // namespace siding

template <>
struct std::hash<siding::AnyFuture> {
  std::size_t operator()(const siding::AnyFuture& future) const noexcept { return future.hash(); }
};
template <class T>
struct std::hash<siding::Future<T>> : std::hash<siding::AnyFuture> {};
