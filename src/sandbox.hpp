// SPDX-License-Identifier: MIT
#pragma once

#include <siding/sandbox.hpp>

namespace siding::detail {

/// In the program, before workers are asked for: whether the sandbox is one, and can be had here.
///
/// Throws: std::invalid_argument for a path that is not absolute; std::system_error for one that is not
///   there, or if the kernel lacks what the sandbox needs.
void check_sandbox(const Sandbox& sandbox);

/// In the worker, while it has one thread: from now on it can do what the sandbox allows, and so all
/// that it starts. There is no way back.
///
/// Does nothing where siding was built with a sanitizer: its runtime needs more than is allowed.
///
/// Throws: std::system_error; then the process may have lost some of its rights, and should end. EBUSY if
///   there is another thread, which would keep all of them.
void apply_sandbox(const Sandbox& sandbox);

}  // namespace siding::detail
