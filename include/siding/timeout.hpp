// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/detail/body.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/detail/timeout_scope.hpp>
#include <siding/error.hpp>
#include <siding/export.hpp>
#include <siding/task.hpp>
#include <siding/time.hpp>

#include <optional>
#include <type_traits>
#include <utility>

namespace siding {

class Timeout;

namespace detail {
template <class Body>
using timeout_op_t = TaskOp<body_result_t<Body, Timeout>, guard<Body>>;
}  // namespace detail

/// A deadline around a stretch of a coroutine. When it passes, what the stretch awaits is cancelled,
/// and what comes out of it is a TimeoutError.
///
/// `timeout()` and `timeout_at()` make one for a body; an object of its own is for asking
/// `expired()` afterwards. Entered once, by `run()`.
///
/// A body that never suspends cannot be interrupted, and a body that swallows `Cancelled` ends when
/// it likes. A body that ends although the deadline has passed gives its value.
///
/// Lifetime: must live until its `run()` has ended.
/// Thread safety: loop thread.
/// Source: asyncio's `timeout()`; scopes take a body because C++ has no `async with`.
class SIDING_EXPORT Timeout {
 public:
  /// A limit counts from entering; none, or `Limit()`, is no deadline. Zero or less has passed at the
  /// first await that suspends.
  explicit Timeout(Limit limit) noexcept : limit_(limit) {}
  /// A point of the loop's clock, `EventLoop::time()`.
  static Timeout at(TimePoint deadline) noexcept { return Timeout(deadline); }
  Timeout(const Timeout&) = delete;
  Timeout& operator=(const Timeout&) = delete;

  /// The deadline; none if there is none, or if it is a limit and the scope was not entered yet.
  [[nodiscard]] std::optional<TimePoint> when() const noexcept { return deadline_; }
  /// Whether the deadline has passed while the scope was active.
  [[nodiscard]] bool expired() const noexcept {
    return state_ == State::expired || (scope_ != nullptr && scope_->expired());
  }

  /// Moves the deadline of the active scope: `from_now` on, or away. A past one passes in the loop's
  /// next iteration. Throws InvalidStateError before the scope was entered, when its deadline has
  /// passed, and after its end.
  void reschedule(Limit from_now);
  /// The same, to a point of the loop's clock.
  void reschedule_at(TimePoint deadline);

  /// Enters the scope, runs `body`, and leaves it.
  ///
  /// Parameters:
  ///   body  a callable that returns a Task and takes `Timeout&` or nothing; kept until that has ended.
  /// Returns: what the body returns.
  /// Throws: TimeoutError in place of a Cancelled that the deadline has caused; what the body throws;
  ///   InvalidStateError when entered a second time.
  /// Cancellation: reaches what the body awaits. It wins over a deadline that passes at the same time.
  template <detail::body_of<Timeout> Body>
  detail::timeout_op_t<Body> run(Body&& body) {
    return detail::timeout_op_t<Body>(run_body<std::decay_t<Body>>(*this, std::forward<Body>(body)));
  }

 private:
  enum class State : unsigned char { created, active, expired, finished };

  /// The time between entering and leaving.
  class SIDING_EXPORT Entered {
   public:
    Entered(Timeout& timeout, detail::TaskContext& context);
    ~Entered() { leave(); }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    bool leave() noexcept;

   private:
    Timeout& timeout_;
    detail::TimeoutScope scope_;
  };

  template <detail::body_of<Timeout> Body>
  friend detail::timeout_op_t<Body> timeout(Limit limit, Body&& body);
  template <detail::body_of<Timeout> Body>
  friend detail::timeout_op_t<Body> timeout_at(TimePoint deadline, Body&& body);

  explicit Timeout(TimePoint deadline) noexcept : deadline_(deadline) {}

  std::optional<TimePoint> enter(const detail::Scheduler& scheduler);
  void check_active(const char* what) const;
  void move_to(std::optional<TimePoint> deadline);
  [[noreturn]] void throw_timed_out() const;

  template <class Body>
  static Task<detail::body_result_t<Body, Timeout>> run_body(Timeout& timeout, Body body) {
    using T = detail::body_result_t<Body, Timeout>;
    detail::TaskContext& context = co_await detail::CurrentContext();
    Entered entered(timeout, context);
    try {
      auto task = detail::call_body(body, timeout);
      if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        entered.leave();
        co_return;
      } else {
        T result = co_await std::move(task);
        entered.leave();
        co_return static_cast<T&&>(result);
      }
    } catch (const Cancelled&) {
      if (entered.leave()) timeout.throw_timed_out();
      throw;
    }
  }
  template <class Body>
  static Task<detail::body_result_t<Body, Timeout>> run_limited(Limit limit, Body body) {
    Timeout timeout(limit);
    auto task = run_body<Body>(timeout, std::move(body));
    co_return co_await std::move(task);
  }
  template <class Body>
  static Task<detail::body_result_t<Body, Timeout>> run_until(TimePoint deadline, Body body) {
    Timeout timeout(deadline);
    auto task = run_body<Body>(timeout, std::move(body));
    co_return co_await std::move(task);
  }

  Limit limit_;
  std::optional<TimePoint> deadline_;
  detail::TimeoutScope* scope_ = nullptr;  // while it is active
  State state_ = State::created;
};

/// Runs `body` for at most `limit`: `co_await timeout(1s, [&]() -> Task<> { ... })`. The body may take
/// the `Timeout&`, to move the deadline. Otherwise as `Timeout::run`.
template <detail::body_of<Timeout> Body>
detail::timeout_op_t<Body> timeout(Limit limit, Body&& body) {
  return detail::timeout_op_t<Body>(
      Timeout::run_limited<std::decay_t<Body>>(limit, std::forward<Body>(body)));
}

/// The same up to a point of the loop's clock.
template <detail::body_of<Timeout> Body>
detail::timeout_op_t<Body> timeout_at(TimePoint deadline, Body&& body) {
  return detail::timeout_op_t<Body>(
      Timeout::run_until<std::decay_t<Body>>(deadline, std::forward<Body>(body)));
}

}  // namespace siding
