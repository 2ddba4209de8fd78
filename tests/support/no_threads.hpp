// SPDX-License-Identifier: MIT
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <thread>

namespace siding_test {

/// From now on the calling thread cannot start threads: it gets EAGAIN, as where the system is at
/// its limit. Other threads can. False if the system does not allow that.
inline bool forbid_new_threads() {
  std::array<sock_filter, 5> code{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// Whether forbid_new_threads() works here.
inline bool can_forbid_new_threads() {
  bool can = false;
  std::thread([&can] { can = forbid_new_threads(); }).join();
  return can;
}

/// Calls `body` on a thread that cannot start threads.
template <class Body>
void without_new_threads(Body body) {
  std::thread([&body] {
    forbid_new_threads();
    body();
  }).join();
}

}  // namespace siding_test
