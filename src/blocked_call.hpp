// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/job_node.hpp>

namespace siding::detail {

/// While it lives, the call that this thread runs waits without a limit for another one. Where calls
/// come to wait for each other in a circle, which would never end, the last to join it throws.
///
/// Only calls of executors in this process are seen: what a task or a promise waits for is not.
class BlockedCall {
 public:
  /// `running`: the call on this thread, or null, which is never part of a circle. Throws
  /// InvalidStateError that names the calls of the circle.
  BlockedCall(const JobNode* running, const JobNode* awaited);
  ~BlockedCall();
  BlockedCall(const BlockedCall&) = delete;
  BlockedCall& operator=(const BlockedCall&) = delete;

 private:
  static const BlockedCall* find(const JobNode* running) noexcept;

  const JobNode* const running_;  // null: not listed
  const JobNode* const awaited_;  // lives: who waits holds a future of it
  BlockedCall* next_ = nullptr;   // all that are listed; guarded by one lock, as are its fields
};

}  // namespace siding::detail
