// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/node.hpp>
#include <siding/export.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <string_view>

namespace siding {
class JobQueue;
}

namespace siding::detail {

/// One call on its way through an executor. It lives in the awaiting coroutine's frame, or in the
/// state of its future; `Job` is the handle that executors get.
///
/// Whoever moves `phase` away from `queued` by compare-and-swap decides what becomes of the call, so
/// that cancelling and starting exclude each other:
///   queued -> running     a worker: the function is called
///   queued -> cancelled   the canceller: the function is never called
///   running -> abandoned  the canceller of a future made on a loop: the outcome is dropped
///   running -> finished   the worker: the outcome counts
///
/// As a Node it is what the loop runs when an awaited call is over.
struct SIDING_EXPORT JobNode : Node {
  enum class Phase : std::uint8_t { queued, running, cancelled, abandoned, finished };

  /// Calls the function, or only settles if it was cancelled. Worker; the node may be gone after.
  virtual void execute() noexcept = 0;
  /// Settles without calling: with an error. Whoever holds the Job.
  virtual void fail(std::exception_ptr error) noexcept = 0;
  /// Settles without calling: as cancelled. Whoever holds the Job.
  virtual void drop() noexcept = 0;
  virtual std::string_view call_name() const noexcept = 0;

  // Node::next and these two belong to the executor that holds the job.
  JobNode* previous = nullptr;
  JobQueue* queue = nullptr;

  std::atomic<Phase> phase{Phase::queued};

 protected:
  ~JobNode() = default;

  bool move_phase(Phase from, Phase to) noexcept {
    // acq_rel: who loses sees what the winner did before.
    return phase.compare_exchange_strong(from, to, std::memory_order_acq_rel,
                                         std::memory_order_acquire);
  }
};

/// Marks that this thread is inside `Executor::enqueue` for a node. If the handle is destroyed
/// there unsettled, by an exception or because the executor dropped it, the caller is told by what
/// `enqueue` throws, and only otherwise by BrokenPromise.
class SubmitScope {
 public:
  explicit SubmitScope(JobNode& node) noexcept;
  ~SubmitScope();
  SubmitScope(const SubmitScope&) = delete;
  SubmitScope& operator=(const SubmitScope&) = delete;

  bool dropped() const noexcept { return dropped_; }

  /// Called by ~Job. True: the drop is noted here, and the submitter will deal with it.
  static bool note_drop(const JobNode& node) noexcept;

 private:
  JobNode* node_;
  SubmitScope* outer_;  // an executor that runs jobs inline nests
  bool dropped_ = false;
};

extern constinit thread_local SubmitScope* submit_scope
    __attribute__((visibility("default"), tls_model("initial-exec")));

inline SubmitScope::SubmitScope(JobNode& node) noexcept : node_(&node), outer_(submit_scope) {
  submit_scope = this;
}
inline SubmitScope::~SubmitScope() { submit_scope = outer_; }

}  // namespace siding::detail
