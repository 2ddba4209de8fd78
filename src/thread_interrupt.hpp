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

/// Runs `work` on a thread of this process, in a handler of SIGURG, which is installed for that
/// moment only: signals of others go on to the handler that was there before. SIGURG, because it is
/// ignored by default: one that comes late does no harm. One interruption at a time in the process.
///
/// Returns: false if the thread did not come to it in time: it is gone, or it blocks SIGURG. Then
///   `work` is not run any more.
bool interrupt_thread(pid_t thread, Interruption& work, std::chrono::milliseconds limit) noexcept;

}  // namespace siding::detail
