// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <fstream>
#include <string>

namespace siding_test {

/// Whether a thread, of this process or of another, sleeps in the kernel.
inline bool is_asleep(pid_t thread, pid_t process = ::getpid()) {
  std::ifstream file("/proc/" + std::to_string(process) + "/task/" + std::to_string(thread) +
                     "/stat");
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(") ");  // "number (name) state ..."
  return name_end != std::string::npos && text[name_end + 2] == 'S';
}

}  // namespace siding_test
