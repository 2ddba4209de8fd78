// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/cancellation.hpp>
#include <siding/detail/body.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/multi_wait.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/detail/timeout_scope.hpp>
#include <siding/error.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>
#include <siding/time.hpp>

#include <type_traits>
#include <utility>

namespace siding {

namespace detail {

[[noreturn]] SIDING_EXPORT void throw_timed_out(Limit limit);
/// Cancels what has started, waits until it has ended; throws TimeoutError if it ended cancelled, or
/// at once if it cannot be cancelled.
SIDING_EXPORT Task<void> cancel_and_join(AnyFuture future, Limit limit);

template <class A>
Task<await_result_t<A>> wait_for_task(A awaitable, Limit limit) {
  using T = await_result_t<A>;
  if (limit.has_value() && limit.value().count() <= 0) {
    // No time at all: what is done is done, what has not started never starts.
    if constexpr (future_like<A>) {
      if (!awaitable.done()) co_await cancel_and_join(awaitable, limit);
    } else {
      throw_timed_out(limit);
    }
  }
  TaskContext& context = co_await CurrentContext();
  TimeoutScope scope(context, deadline_after(context.scheduler(), limit));
  try {
    if constexpr (std::is_void_v<T>) {
      co_await by_name(awaitable);
      scope.leave();
      co_return;
    } else {
      T result = co_await by_name(awaitable);
      scope.leave();
      co_return static_cast<T&&>(result);
    }
  } catch (const Cancelled&) {
    if (scope.leave()) throw_timed_out(limit);
    throw;
  }
}

}  // namespace detail

/// Awaits something for at most `limit`; past it, cancels it, waits until it has ended, and throws
/// TimeoutError.
///
/// So `wait_for(run_in_executor(pool, f), 100ms)` ends at 100 ms while `f` runs on, and
/// `wait_for(to_thread(f), 100ms)` ends when `f` has returned: each waits for what its cancellation
/// waits for.
///
/// Parameters:
///   awaitable  a task or an awaitable of the library (moved in), or a future.
///   limit      none just awaits. Zero or less gives the result of a future that is done, else times
///              out without starting what has not started.
/// Returns: what the awaitable gives. A value that arrives in the same iteration as the timeout is
///   returned; a lock, a permit or an item of a queue goes to the next who waits for it instead.
/// Throws: TimeoutError; what the awaitable throws, also in answer to its cancellation.
/// Thread safety: await on a loop's thread.
/// Cancellation: cancels the awaitable, waits until it has ended, throws Cancelled.
template <Passable A>
TaskOp<await_result_t<A>, detail::guard<A>> wait_for(A&& awaitable, Limit limit) {
  return TaskOp<await_result_t<A>, detail::guard<A>>(
      detail::wait_for_task<std::decay_t<A>>(std::forward<A>(awaitable), limit));
}
/// A limit has a unit.
template <class A, class Number>
  requires std::is_arithmetic_v<Number>
void wait_for(A&&, Number) {
  static_assert(sizeof(A) == 0,
                "a limit needs a unit: wait_for(x, 1s), wait_for(x, std::chrono::milliseconds(n))");
}

}  // namespace siding
