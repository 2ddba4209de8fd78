// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limits.hpp"

namespace siding_test {

/// What a child that was ended by a signal has in place of an exit status.
constexpr int killed_by(int signal_number) { return 1000 + signal_number; }

/// Forks; the child calls `body` and exits with what it returns, or with 100 if it throws. Checks
/// are lost in a child. No other thread may run. A child that hangs is killed by SIGALRM.
template <class Body>
pid_t start_child(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(static_cast<unsigned>(hang_limit.count()));
    int status = 100;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  return child;
}

/// Waits for a child; its exit status, or killed_by(...).
inline int status_of(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : killed_by(WTERMSIG(status));
}

/// Both.
template <class Body>
int status_in_child(Body body) {
  return status_of(start_child(body));
}

}  // namespace siding_test
