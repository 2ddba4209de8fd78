// SPDX-License-Identifier: MIT
#pragma once

namespace siding {
struct Sandbox;
}

namespace siding::detail {

/// The version of Landlock that this kernel has, or 0.
int landlock_version() noexcept;

/// Closes all files to this process but those that the sandbox names; where the kernel can (6.7, 6.12),
/// also TCP, abstract Unix sockets and signals to others. Needs PR_SET_NO_NEW_PRIVS.
/// Throws std::system_error.
void restrict_files(const Sandbox& sandbox);

}  // namespace siding::detail
