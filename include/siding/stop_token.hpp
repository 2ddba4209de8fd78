// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>
#include <siding/future.hpp>

#include <stop_token>

namespace siding {

/// Cancels `future` when a stop is requested through `token`, on whatever thread that happens.
///
///   cancel_on_stop(current_task(), token);  // this task ends when its std::jthread is told to
///
/// The request is posted to the loop that the caller runs on, waking it if it sleeps, and is there
/// what `future.cancel()` is. On that loop's own thread it is made at once, inside
/// `request_stop()`.
///
/// Parameters:
///   future  of a task or a call that may be cancelled, such as `current_task()`.
///   token   if a stop was requested already, the future is cancelled at once. One that can never
///           be tripped changes nothing.
/// Throws: NoRunningLoop outside a loop; InvalidStateError if the future is empty.
/// Thread safety: call on a loop's thread. Stops may be requested on any.
/// Cancellation: the `Cancelled` that is thrown has the reason "a stop was requested". It is one
///   request, counted like others.
/// Lifetime: the token is let go when the future is done, or when the loop is closed that the
///   caller runs on, so that a source that lives long gathers nothing. Requesting a stop later does
///   nothing. The loop never waits for the thread that requests a stop, except while that puts the
///   request into the loop's inbox.
/// Complexity: one allocation. A future that is not given here pays nothing.
SIDING_EXPORT void cancel_on_stop(const AnyFuture& future, std::stop_token token);

/// A token that is tripped when the running task is asked to end: for plain functions that the task
/// calls or hands to a thread or a library.
///
///   const std::stop_token token = siding::current_stop_token();
///   search(token);  // looks at token.stop_requested() now and then
///
/// It stands for one request, as a suspension point does: it is tripped if an await at this place
/// would throw `Cancelled`, or as soon as it would. After a request was thrown, as after a deadline
/// whose TimeoutError was caught, this gives a new token, so that tidying up is not stopped too.
///
/// Returns: the token; outside any task, so also in a function on a worker, one that is never
///   tripped. Such a function takes a `std::stop_token` as its first parameter instead (see
///   `to_thread`).
/// Thread safety: call in a task. The token may be used on any thread.
/// Cancellation: a request trips the token on the loop's thread, inside `cancel()` if that is
///   called there; the callbacks of a `std::stop_callback` run then and there. Closing the loop
///   trips the tokens of tasks that have not ended, before it destroys their frames.
/// Complexity: one or two allocations at the first call in a task. Tasks that do not call it pay
///   nothing.
SIDING_EXPORT std::stop_token current_stop_token();

}  // namespace siding
