// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace siding::detail {

/// Ends this process by SIGALRM after so long, whatever a function has made of that signal. For what may
/// hang at the end of a worker. May be called in a signal handler.
inline void limit_by_alarm(unsigned seconds) noexcept {
  struct sigaction end {};
  end.sa_handler = SIG_DFL;
  ::sigaction(SIGALRM, &end, nullptr);
  sigset_t alarm;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  ::alarm(seconds);
}

}  // namespace siding::detail
