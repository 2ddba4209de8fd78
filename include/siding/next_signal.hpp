// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/guard.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/export.hpp>
#include <siding/task.hpp>

#include <concepts>
#include <vector>

namespace siding {

namespace detail {
SIDING_EXPORT Task<int> await_signal(std::vector<int> signals);
}  // namespace detail

/// Waits for one of these signals: `const int signal = co_await next_signal(SIGTERM, SIGHUP);`
///
/// Between two waits the signals do what they did before: by default most end the process. Where one
/// must not be missed, keep a handler with `EventLoop::add_signal_handler`. One that is raised as the
/// wait ends, and that it does not return, is raised again when the handlers are gone.
///
/// Returns: the number of the signal.
/// Throws: std::invalid_argument for a signal that cannot be handled; InvalidStateError for one that
///   this loop has a handler for; std::logic_error for one that another loop has.
/// Thread safety: await on a loop's thread.
/// Cancellation: removes the handlers, throws Cancelled.
template <std::same_as<int>... Signal>
  requires(sizeof...(Signal) > 0)
TaskOp<int> next_signal(Signal... signals) {
  return TaskOp<int>(detail::await_signal(std::vector<int>{signals...}));
}

}  // namespace siding
