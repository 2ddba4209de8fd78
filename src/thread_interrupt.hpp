// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <chrono>

namespace siding::detail {

/// What is to be done on another thread, in a signal handler: it must not allocate, lock or throw.
class Interruption {
 public:
  virtual void run() noexcept = 0;

 protected:
  ~Interruption() = default;
};

enum class InterruptResult : unsigned char {
  done,
  blocked,  ///< the thread blocks SIGURG
  gone,     ///< there is no such thread any more
  late,     ///< it did not come to it in time
};

/// Runs `work` on a thread of this process, in a handler of SIGURG, which is installed for that
/// moment only: signals of others go on to the handler that was there before. SIGURG, because it is
/// ignored by default: one that comes late does no harm. One interruption at a time in the process.
///
/// Returns: where it is not `done`, `work` is not run any more.
InterruptResult interrupt_thread(pid_t thread, Interruption& work,
                             std::chrono::milliseconds limit) noexcept;

/// While it lives no interruption begins, so that what SIGURG does can be changed.
class NoInterruption {
 public:
  /// Waits for the one under way.
  NoInterruption() noexcept;
  ~NoInterruption();
  NoInterruption(const NoInterruption&) = delete;
  NoInterruption& operator=(const NoInterruption&) = delete;
};

}  // namespace siding::detail
