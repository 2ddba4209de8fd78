// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <sys/types.h>

#include <cstdint>
#include <memory>

namespace siding::detail {

/// The process that worker processes are forked from: a copy of this program, executed anew and
/// stopped before main(). One per process, shared by all pools, ended with the last of them.
/// Thread safety: safe.
class Zygote {
 public:
  /// The one that lives, or a new one.
  /// Throws: ProcessPoolUnavailable, std::system_error.
  static std::shared_ptr<Zygote> get();
  /// Throws ProcessPoolUnavailable where none could be made: the program lacks the hook, or this is
  /// a worker process.
  static void check_available();

  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;
  /// Waits until it has ended, and its workers before it.
  ~Zygote();

  /// A socket of its own for a pool. Throws std::system_error.
  FileDescriptor connect();
  /// Whether it can still be asked.
  bool alive() const noexcept;
  pid_t pid() const noexcept { return pid_; }

 private:
  Zygote();
  void end() noexcept;

  /// Whether this process is a child of the one that made it.
  bool inherited() const noexcept;

  const std::uint32_t forks_;
  FileDescriptor socket_;
  FileDescriptor handle_;  // a pidfd
  pid_t pid_ = -1;
};

}  // namespace siding::detail
