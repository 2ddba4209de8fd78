// SPDX-License-Identifier: MIT
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>

namespace siding_test {

/// What the system says of a process after its name: its state, its parent, and so on; empty: it is gone.
inline std::string stat_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t end = line.rfind(')');
  return end == std::string::npos ? std::string() : line.substr(end + 2);
}

/// A process that is there and not merely waiting to be collected.
inline bool lives(pid_t pid) {
  const std::string stat = stat_of(pid);
  return !stat.empty() && stat[0] != 'Z' && stat[0] != 'X';
}

/// 0: it is gone.
inline pid_t parent_of(pid_t pid) {
  const std::string stat = stat_of(pid);
  return stat.size() < 3 ? 0 : static_cast<pid_t>(std::stol(stat.substr(2)));
}

/// Sends a signal to a worker of this program that may have ended: its number is somebody else's then.
inline bool signal_worker(pid_t pid, int signal_number) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (handle < 0) return false;
  // Asked for after the handle was taken: if it has ended by now, the signal goes nowhere.
  const bool ours = parent_of(parent_of(pid)) == ::getpid();
  const bool sent =
      ours && ::syscall(SYS_pidfd_send_signal, handle, signal_number, nullptr, 0) == 0;
  ::close(handle);
  return sent;
}

}  // namespace siding_test
