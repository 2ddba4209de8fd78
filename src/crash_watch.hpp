// SPDX-License-Identifier: MIT
#pragma once

#include "crash_page.hpp"

namespace siding::detail {

/// From now on this process writes to `page` how it crashes. For a worker, on its main thread, once;
/// the page is never unmapped.
///
/// Installs a handler for each of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP and SIGSYS whose
/// action is the default one; those that the program's static objects or a sanitizer have installed
/// stay. The process still dies as it would have: of the same signal, with a core dump of the same
/// place. Handlers that a function installs later replace these. Also std::terminate leaves its reason;
/// then it goes on with the handler that was there before.
///
/// The handlers have a stack of their own on this thread. Other threads have none, so a stack overflow
/// of theirs is not told. A process that a function forks does not write to the page.
///
/// A handler that hangs, because a lock that the unwinder needs is held for good, is ended by SIGALRM
/// after two seconds; what was found until then is in the page.
///
/// Where siding was built with a sanitizer, which has handlers and reports of its own, only the reason
/// of std::terminate is left.
void watch_for_crashes(CrashPage& page) noexcept;

}  // namespace siding::detail
