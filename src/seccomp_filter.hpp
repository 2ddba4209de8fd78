// SPDX-License-Identifier: MIT
#pragma once

#include <linux/filter.h>

#include <vector>

namespace siding {
struct Sandbox;
}

namespace siding::detail {

/// Throws std::system_error, with what to do, if this kernel or processor has no system call filters.
void require_seccomp();

/// What the sandbox lets this process call; everything else answers EPERM. A system call of another
/// architecture ends the process.
std::vector<sock_filter> make_seccomp_filter(const Sandbox& sandbox);

/// From now on, for this thread and all that it starts. Needs PR_SET_NO_NEW_PRIVS.
/// Throws std::system_error.
void install_seccomp_filter(const std::vector<sock_filter>& filter);

}  // namespace siding::detail
