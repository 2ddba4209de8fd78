// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/call_limits.hpp>
#include <siding/detail/node.hpp>
#include <siding/detail/variables.hpp>
#include <siding/export.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>

namespace siding {
class JobQueue;
class WireReader;
class WireWriter;
}

namespace siding::detail {

class Inbox;
struct JobNode;
struct PortableCall;

/// An executor whose calls run in another process, as their cancellers see it. It cannot go while a
/// node is pinned. Any thread.
class RemoteExecutor {
 public:
  /// Takes a call back that no worker has begun; true: it is the caller's now.
  virtual bool recall(JobNode& node) noexcept = 0;
  /// Whether a worker has begun it.
  virtual bool has_begun(const JobNode& node) noexcept = 0;
  /// Its caller wants it to end: it is settled soon, if need be by the end of its worker.
  virtual void interrupt(JobNode& node) noexcept = 0;

 protected:
  ~RemoteExecutor() = default;
};

/// One call on its way through an executor. It lives in the awaiting coroutine's frame, or in the
/// state of its future; `Job` is the handle that executors get.
///
/// Whoever moves `phase` away from `queued` by compare-and-swap decides what becomes of the call, so
/// that cancelling and starting exclude each other:
///   queued -> running     a worker: the function is called
///   queued -> cancelled   the canceller: the function is never called
///   running -> abandoned  the canceller of a future made on a loop, or of an awaited call: the outcome
///                         is dropped; an awaited call is waited for. The function may ask.
///   running -> finished   the worker: the outcome counts
///
/// A call that goes to another process is not touched by its worker. There the executor moves it on,
/// and the word that decides lies in the worker's memory:
///   queued -> encoding    the executor writes the arguments down
///   encoding -> away      a worker will call the function, or does
///   encoding -> queued    it could not be handed over
///   away -> pinned        a canceller asks the executor; meanwhile it is not settled
///   pinned -> away, cancelled, abandoned   as the answer was
///   away -> finished      the executor: the outcome counts
///
/// As a Node it is what the loop runs when an awaited call is over.
struct SIDING_EXPORT JobNode : Node {
  enum class Phase : std::uint8_t {
    queued,
    running,
    cancelled,
    abandoned,
    finished,
    encoding,
    away,
    pinned
  };

  /// Calls the function, or only settles if it was cancelled. Worker; the node may be gone after.
  virtual void execute() noexcept = 0;
  /// Settles without calling: with an error. Whoever holds the Job.
  virtual void fail(std::exception_ptr error) noexcept = 0;
  /// Settles without calling: as cancelled. Whoever holds the Job.
  virtual void drop() noexcept = 0;
  virtual std::string_view call_name() const noexcept = 0;

  // For executors whose calls run in another process.
  /// How the call crosses; the same for all calls of one type.
  virtual const PortableCall& portable() const noexcept = 0;
  /// Writes the function and its arguments; they stay. Whoever holds the Job, in phase encoding.
  virtual void encode(WireWriter& out) = 0;
  /// Settles with what the worker wrote. After begin_settling() has said true.
  virtual void settle(WireReader& value) noexcept = 0;
  virtual void settle(std::exception_ptr error) noexcept = 0;
  /// Lets go of a call whose outcome does not count; `error` is what it threw, if it did. After
  /// begin_settling() has said false.
  virtual void let_go(std::exception_ptr error) noexcept = 0;
  /// The loop that awaits it; null: anybody may.
  virtual Inbox* awaited_by() const noexcept = 0;

  Variables variables;  // of where the call was made

  // Node::next and these two belong to the executor that holds the job.
  JobNode* previous = nullptr;
  // Written under the lock of the queue it names or named; others may look, by chance.
  std::atomic<JobQueue*> queue{nullptr};
  RemoteExecutor* remote = nullptr;  // set before phase away
  std::uint32_t place = 0;           // the executor's own
  int priority = 0;                  // set before it is submitted
  std::unique_ptr<CallLimits> limits;  // null for most; set before it is submitted
  bool unwanted = false;  // the executor's own: interrupted while it was in no process
  bool awaited = false;   // a task is suspended until it is settled

  std::atomic<Phase> phase{Phase::queued};

  /// The executor's claim on a call that is away. True: its outcome counts.
  bool begin_settling() noexcept {
    return pin() ? (unpin(Phase::finished), true) : false;
  }

  /// The executor's claim on a queued call. False: it was cancelled, only let it go.
  bool begin_encoding() noexcept { return move_phase(Phase::queued, Phase::encoding); }
  void end_encoding(Phase phase_now) noexcept {
    phase.store(phase_now, std::memory_order_release);
  }

  /// Whether the call may still be caught: it is queued, or away, or on its way from one to the other.
  bool may_be_caught() const noexcept {
    const Phase now = phase.load(std::memory_order_acquire);
    return now == Phase::queued || now == Phase::encoding || now == Phase::away ||
           now == Phase::pinned;
  }
  /// Holds a call that is away, or is just leaving, where it is. False: it is neither.
  bool pin() noexcept;
  /// The same, but gives up where it would have to wait.
  bool try_pin() noexcept { return move_phase(Phase::away, Phase::pinned); }
  void unpin(Phase phase_now) noexcept { phase.store(phase_now, std::memory_order_release); }

 protected:
  ~JobNode() = default;

  bool move_phase(Phase from, Phase to) noexcept {
    // acq_rel: who loses sees what the winner did before.
    return phase.compare_exchange_strong(from, to, std::memory_order_acq_rel,
                                         std::memory_order_acquire);
  }
};

/// Where a call is: "queued", "running" and the like.
SIDING_EXPORT const char* state_text(const JobNode& node) noexcept;

/// How the call that this thread has executed last has ended. Written by `execute`, for executors
/// that keep count.
enum class CallEnd : std::uint8_t { not_called, returned, threw };
extern constinit thread_local CallEnd last_call_end
    __attribute__((visibility("default"), tls_model("initial-exec")));

/// The call whose function this thread is in; null: none.
extern constinit thread_local const JobNode* running_call
    __attribute__((visibility("default"), tls_model("initial-exec")));
/// The same in a worker process, where there is no node: set by the program when the caller was
/// cancelled. Null elsewhere.
extern constinit thread_local const std::atomic<std::uint32_t>* running_stop
    __attribute__((visibility("default"), tls_model("initial-exec")));

/// The time in which the function of a call runs. It ends before the call is settled, after which the
/// node may be gone.
class RunningCallScope {
 public:
  explicit RunningCallScope(const JobNode& node) noexcept
      : outer_(running_call) {  // a worker that waits for a call may run it itself
    running_call = &node;
  }
  ~RunningCallScope() { running_call = outer_; }
  RunningCallScope(const RunningCallScope&) = delete;
  RunningCallScope& operator=(const RunningCallScope&) = delete;

 private:
  const JobNode* const outer_;
};

/// A worker's executor, which runs a queued job of its own in place of waiting for it. Set on the
/// threads of workers.
class BlockedHelp {
 public:
  /// Runs the job if it is queued there; somebody holds a handle to it. On the worker's thread.
  virtual void help(JobNode& node) noexcept = 0;

 protected:
  ~BlockedHelp() = default;
};
extern constinit thread_local BlockedHelp* blocked_help
    __attribute__((visibility("default"), tls_model("initial-exec")));

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
