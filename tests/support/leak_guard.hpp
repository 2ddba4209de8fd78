// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "limits.hpp"

namespace siding_test {

/// Threads of this process.
inline std::size_t count_threads() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    count += entry.path().empty() ? 0U : 1U;
  }
  return count;
}

inline bool exists_thread(pid_t thread) {
  return std::filesystem::exists("/proc/self/task/" + std::to_string(thread));
}

/// Open descriptors of this process.
inline std::size_t count_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count - 1;  // without the one that reads the folder
}

/// Child processes of this process, zombies too.
inline std::size_t count_children() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (std::string child; file >> child;)
      ++count;
  }
  return count;
}

/// Whether `condition` becomes true in time. For what the system does on its own, such as taking a
/// joined thread off its list.
template <class Condition>
bool becomes_true(Condition condition, std::chrono::nanoseconds limit = hang_limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Checks at its end that there are as many threads, descriptors and children as at its start.
class LeakGuard {
 public:
  LeakGuard() {
    // A sanitizer starts a thread of its own with the first one.
    pid_t helper = 0;
    std::thread([&helper] { helper = ::gettid(); }).join();
    becomes_true([&] { return !exists_thread(helper); });
    threads_ = count_threads();
  }
  ~LeakGuard() {
    CHECK_MESSAGE(becomes_true([this] { return count_threads() <= threads_; }, gone_in),
                  "threads are left");
    CHECK_MESSAGE(count_descriptors() == descriptors_, "descriptors are left");
    CHECK_MESSAGE(count_children() == children_, "child processes are left");
  }
  LeakGuard(const LeakGuard&) = delete;
  LeakGuard& operator=(const LeakGuard&) = delete;

 private:
  static constexpr std::chrono::seconds gone_in{1 * slowness};

  std::size_t threads_ = 0;
  std::size_t descriptors_ = count_descriptors();
  std::size_t children_ = count_children();
};

}  // namespace siding_test
