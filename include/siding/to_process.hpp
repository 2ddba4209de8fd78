// SPDX-License-Identifier: MIT
#pragma once

#include <siding/offload.hpp>
#include <siding/process_pool.hpp>

#include <utility>

namespace siding {

/// Calls `fn(args...)` in a process of the loop's default process pool and awaits its result:
/// `offload` on such a pool, where everything about errors and cancellation is said.
///
/// Use it for calls that burn CPU or may crash. Function, arguments and result are copied, and have
/// to be Portable. The pool has as many workers as there are usable CPUs, is made on first use, and
/// is closed by `run()`.
///
/// Throws: as `offload`; WorkerCrashed if the worker dies while it runs the call;
///   ProcessPoolUnavailable.
/// Cancellation: queued: taken back, `Cancelled` at once. Running: a `std::stop_token` is tripped;
///   after 200 ms, or at once if `fn` takes none, the worker is killed and replaced; then `Cancelled`.
template <class F, class... Args>
OffloadOp<detail::BoundCall<F, Args...>, detail::guard<F, Args...>> to_process(CallOptions options,
                                                                               F&& fn,
                                                                               Args&&... args) {
  detail::require_portable_call<F, Args...>();
  return {detail::DefaultPool::processes, options, std::in_place, detail::Kept<F>::pass(fn),
          detail::Kept<Args>::pass(args)...};
}
template <class F, class... Args>
  requires(!detail::options<F>)
OffloadOp<detail::BoundCall<F, Args...>, detail::guard<F, Args...>> to_process(F&& fn,
                                                                               Args&&... args) {
  return to_process(CallOptions{}, std::forward<F>(fn), std::forward<Args>(args)...);
}

}  // namespace siding
