// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/multi_wait.hpp>
#include <siding/detail/started.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <type_traits>
#include <utility>
#include <vector>

namespace siding {

namespace detail {

template <class A>
Task<await_result_t<A>> shield_task(A awaitable) {
  check_startable(awaitable);
  Future<await_result_t<A>> inside = started(awaitable);
  MultiWait ended(std::vector<AnyFuture>{inside}, MultiWait::Until::all,
                  MultiWait::OnCancelled::detach);
  co_await ended;
  co_return std::move(inside).result();
}

}  // namespace detail

/// Awaits something that a cancellation of the awaiting task does not reach: what goes on behind it is
/// finished, such as a write that must not stop half-way.
///
/// What is no future yet is made a task of its own when the shield is awaited. It is also not reached
/// by the end of a scope such as `timeout()` around it; the end of the loop does reach it.
///
/// Parameters:
///   awaitable  a task or an awaitable of the library (moved in), or a future.
/// Returns: what the awaitable gives.
/// Throws: what it throws; Cancelled, also if the inside was cancelled by another.
/// Thread safety: await on a loop's thread.
/// Cancellation: throws Cancelled at once; the inside goes on, and an error of it that nobody reads is
///   reported.
/// Source: asyncio's `shield`.
template <Passable A>
TaskOp<await_result_t<A>, detail::guard<A>> shield(A&& awaitable) {
  return TaskOp<await_result_t<A>, detail::guard<A>>(
      detail::shield_task<std::decay_t<A>>(std::forward<A>(awaitable)));
}

}  // namespace siding
