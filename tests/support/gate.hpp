// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>

#include "limits.hpp"

namespace siding_test {

/// Names a gate in an argument: plain numbers, so that they also cross to another process.
struct GateKey {
  int process;
  int entry;     // the read end of a pipe: end of file when the gate is open
  int arrivals;  // the write end of another: a byte for each arrival
  unsigned long entry_inode;
  unsigned long arrivals_inode;
};

// Pipes order memory, but the thread sanitizer does not see it, so this says it again: written
// before something is sent through a gate (release), read after it has come (acquire).
inline std::atomic<int> gate_order{0};

/// A one-shot event made by a test. Calls that are under way in workers, threads or processes, say
/// that they have arrived, and wait until the test opens it. Ends opened.
class Gate {
 public:
  Gate() {
    REQUIRE(::pipe2(entry_.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(arrivals_.data(), O_CLOEXEC) == 0);
  }
  ~Gate() {
    open();
    for (const int fd : {entry_[0], arrivals_[0], arrivals_[1]})
      ::close(fd);
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  GateKey key() const {
    return {::getpid(), entry_[0], arrivals_[1], inode(entry_[0]), inode(arrivals_[1])};
  }

  /// Lets everybody pass, now and later.
  void open() {
    gate_order.fetch_add(1, std::memory_order_release);
    if (entry_[1] >= 0) ::close(entry_[1]);
    entry_[1] = -1;
  }

  /// Blocks until there were `count` arrivals in all. The test's thread.
  void wait_for_arrivals(int count) {
    while (seen_ < count) {
      pollfd waiting{arrivals_[0], POLLIN, 0};
      const int limit = static_cast<int>(std::chrono::milliseconds(hang_limit).count());
      REQUIRE_MESSAGE(::poll(&waiting, 1, limit) == 1, "nobody came to the gate");
      take_arrivals();
    }
  }

  /// Arrivals so far. The test's thread.
  int arrivals() {
    take_arrivals();
    return seen_;
  }

  static unsigned long inode(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
  }

 private:
  void take_arrivals() {
    int waiting = 0;
    REQUIRE(::ioctl(arrivals_[0], FIONREAD, &waiting) == 0);
    std::array<char, 256> bytes;
    while (waiting > 0) {
      const ssize_t got = ::read(arrivals_[0], bytes.data(), bytes.size());
      REQUIRE(got > 0);
      seen_ += static_cast<int>(got);
      waiting -= static_cast<int>(got);
    }
    static_cast<void>(gate_order.load(std::memory_order_acquire));
  }

  std::array<int, 2> entry_{};
  std::array<int, 2> arrivals_{};
  int seen_ = 0;
};

/// Opens one end of a gate's pipes from any process. A gate that is gone gives -1, also if its
/// number stands for something else by now.
inline int open_end(const GateKey& key, int fd, unsigned long inode, int flags) {
  const std::string path = "/proc/" + std::to_string(key.process) + "/fd/" + std::to_string(fd);
  const int opened = ::open(path.c_str(), flags | O_CLOEXEC);
  if (opened >= 0 && Gate::inode(opened) != inode) {
    ::close(opened);
    return -1;
  }
  return opened;
}

/// Says that a call is under way. A worker, of any process.
inline void arrive(GateKey key) {
  const int fd = open_end(key, key.arrivals, key.arrivals_inode, O_WRONLY);
  if (fd < 0) return;
  gate_order.fetch_add(1, std::memory_order_release);
  [[maybe_unused]] const ssize_t written = ::write(fd, "", 1);
  ::close(fd);
}

/// Says so and waits until the gate is open. A worker, of any process.
inline void pass(GateKey key) {
  const int fd = open_end(key, key.entry, key.entry_inode, O_RDONLY);
  arrive(key);
  if (fd < 0) return;
  char byte = 0;
  while (::read(fd, &byte, 1) > 0) {
  }
  static_cast<void>(gate_order.load(std::memory_order_acquire));
  ::close(fd);
}

/// The same, then gives `value`.
inline int pass_with(GateKey key, int value) {
  pass(key);
  return value;
}

}  // namespace siding_test
