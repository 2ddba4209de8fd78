// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

// What the hook in the executable (process_hook.cpp) calls, and what it leaves behind.

namespace siding::detail {

/// The executable has the hook. Before main().
SIDING_EXPORT void note_hook() noexcept;
/// Whether this process was started to be a zygote, or a worker on its own; true once.
SIDING_EXPORT bool zygote_wanted() noexcept;
/// Is the zygote, or the worker, from now on.
[[noreturn]] SIDING_EXPORT void serve_zygote() noexcept;
/// A child of fork(): is a zygote from now on, with this socket.
[[noreturn]] void become_zygote(int socket) noexcept;

bool hook_is_present() noexcept;
/// In a zygote, and in its workers.
bool in_zygote() noexcept;

}  // namespace siding::detail
