// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/offload_awaiter.hpp>
#include <siding/detail/submit.hpp>
#include <siding/executor.hpp>
#include <siding/future.hpp>
#include <siding/take.hpp>

#include <concepts>
#include <utility>

namespace siding {

namespace detail {

/// The executor that `executor` names, on the loop of this thread.
SIDING_EXPORT Executor& named_executor(ExecutorRef executor, Scheduler& scheduler);

}  // namespace detail

/// Has `fn(args...)` called on `executor`, starting now, and returns its future.
///
/// Parameters: as `offload`; arguments are copied at the call. `CallOptions::on_cancel` has no
///   meaning here.
/// Returns: the future of what `fn` returns, decayed. It may be awaited, kept, dropped, or read on
///   another thread. An error that nobody reads goes to the loop's exception handler.
/// Throws: at once, and then `fn` is not called: NoRunningLoop outside a loop; what the executor
///   refuses with, such as ShutdownError.
/// Thread safety: call on a loop's thread.
/// Cancellation: `Future::cancel`, and cancelling a task that awaits the future. Queued: taken back.
///   Running: the future is cancelled at once, a `std::stop_token` is tripped, `fn` runs on with its
///   own copies, its result is dropped and its error goes to the exception handler. To wait for `fn`
///   instead, use `offload` or `to_thread`.
/// Complexity: one allocation, from a free list.
template <ExecutorArgument E, class F, class... Args>
Started<detail::call_result_t<F, Args...>, detail::guard<F, Args...>> run_in_executor(
    E&& executor, CallOptions options, F&& fn, Args&&... args) {
  detail::check_crossing<E, F, Args...>();
  detail::Scheduler& scheduler = detail::require_scheduler("run_in_executor");
  Executor& chosen = detail::named_executor(ExecutorRef(std::forward<E>(executor)), scheduler);
  return Started<detail::call_result_t<F, Args...>, detail::guard<F, Args...>>(
      detail::submit_call<detail::call_on_t<E, F, Args...>>(
          chosen, detail::FutureState::Origin::loop_call, scheduler.inbox, options,
                          std::forward<F>(fn), std::forward<Args>(args)...));
}
template <ExecutorArgument E, class F, class... Args>
  requires(!detail::options<F>)
Started<detail::call_result_t<F, Args...>, detail::guard<F, Args...>> run_in_executor(
    E&& executor, F&& fn, Args&&... args) {
  return run_in_executor(std::forward<E>(executor), CallOptions{}, std::forward<F>(fn),
                         std::forward<Args>(args)...);
}

/// Name the executor: `nullptr` is the loop's default pool.
template <class F, class... Args>
  requires std::invocable<F, Args...>
void run_in_executor(F&& fn, Args&&... args) = delete;

}  // namespace siding
