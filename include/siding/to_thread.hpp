// SPDX-License-Identifier: MIT
#pragma once

#include <siding/offload.hpp>

#include <utility>

namespace siding {

/// Calls `fn(args...)` on the loop's default thread pool and awaits its result: `offload(nullptr,
/// ...)`, where everything about arguments, errors and cancellation is said.
///
/// Use it for calls that block. The pool has the usable CPUs + 4 threads, at most 32, is made on
/// first use, can be replaced (`EventLoop::set_default_executor`), and is closed by `run()`.
///
/// Throws: as `offload`; NoRunningLoop does not occur, since it is awaited; ShutdownError after
///   `EventLoop::shutdown_default_executor`; NotPortable if a process pool was made the default
///   executor.
/// See: asyncio's function of the same name. Unlike it, a cancelled call that runs is waited for
///   unless `{.on_cancel = OnCancel::abandon}` is given.
template <class F, class... Args>
  requires(!detail::options<F>)
OffloadOp<detail::LocalCall<F, Args...>, detail::guard<F, Args...>> to_thread(F&& fn,
                                                                              Args&&... args) {
  return offload(nullptr, std::forward<F>(fn), std::forward<Args>(args)...);
}
template <class F, class... Args>
OffloadOp<detail::LocalCall<F, Args...>, detail::guard<F, Args...>> to_thread(CallOptions options,
                                                                              F&& fn,
                                                                              Args&&... args) {
  return offload(nullptr, options, std::forward<F>(fn), std::forward<Args>(args)...);
}

}  // namespace siding
