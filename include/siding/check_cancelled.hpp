// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

namespace siding {

/// Throws `Cancelled` if the caller of the function that this thread runs was cancelled meanwhile.
///
/// For functions on a worker that take no `std::stop_token`, or that call others which were handed
/// none: call it where the work can be given up. What the function leaves by `Cancelled` is not
/// reported to anybody, because its caller has gone.
///
/// The caller was cancelled if the task was that awaits the call (`to_thread`, `offload`, a timeout
/// around them), or if the future of `run_in_executor` was. The future of `submit` cannot be cancelled
/// once its call runs, so there this never throws.
///
/// Throws: `Cancelled`; InvalidStateError on a thread that runs no call of an executor, such as one that
///   the function has started itself.
/// Thread safety: any thread; it asks about the call on top of its own stack.
/// Processes: a function that takes no `std::stop_token` is ended with its worker at once, and need not
///   ask. One that takes a token may use either within ProcessPoolOptions::cancel_grace.
/// Complexity: one load.
/// See: anyio's `from_thread.check_cancelled`.
SIDING_EXPORT void check_cancelled();

}  // namespace siding
