// SPDX-License-Identifier: MIT
#pragma once

#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

// The narrow driver between the event loop and the kernel: submit an operation, cancel it, wait
// until a deadline, be woken. Nothing of liburing shows here, so that another driver can take the
// place of this one where io_uring is blocked.

namespace siding::detail {

class Ring;

/// How many completions the kernel owes. Apart from Operation only so that its destructor stays out
/// of reach of the ring.
class InFlight {
 public:
  /// Whether a completion is still owed. A multishot operation ends at the CQE without F_MORE.
  [[nodiscard]] bool in_flight() const noexcept { return owed_ != 0; }

 private:
  friend class Ring;
  std::uint32_t owed_ = 0;  // requests whose final CQE was not seen
};

/// The base of everything a completion points to. An operation must live, and its buffers with it,
/// until `in_flight()` is false: the kernel may write to them until then.
class Operation : public InFlight {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// Called for each completion of the operation, on the loop thread, from inside `Ring::wait` or
  /// `Ring::poll`. It notes the result and enqueues whoever waits for it; it neither resumes a
  /// coroutine nor waits on the ring. `result` and `flags` are `res` and `flags` of the CQE. After
  /// the last completion `in_flight()` is already false and the ring does not touch the object
  /// again.
  virtual void complete(int result, std::uint32_t flags) noexcept = 0;

  /// Called in place of `complete` while the ring is closing: nobody awaits the result any more. It
  /// disposes of what a late success produced (a descriptor, a buffer). An operation that the
  /// kernel never saw is discarded with -ECANCELED.
  virtual void discard(int /*result*/) noexcept {}

 protected:
  Operation() = default;
  // Not virtual: operations are parts of awaiters and are never deleted through this base.
  ~Operation() = default;
};

/// How completions reach the loop thread: the rungs of the set-up ladder, best first.
enum class RingMode {
  /// SINGLE_ISSUER, DEFER_TASKRUN: completions are made when the loop asks for them (Linux 6.1).
  deferred,
  /// COOP_TASKRUN: without interrupting the loop thread (Linux 5.19).
  cooperative,
  plain,
};

struct RingOptions {
  /// Slots of the submission queue. A full queue is submitted early, so this bounds the size of a
  /// batch, not the number of operations in flight.
  std::uint32_t entries = 256;
  /// Slots of the completion queue. More than the kernel's default of twice `entries`, because one
  /// multishot operation makes many completions; beyond it the kernel keeps a (slower) list.
  std::uint32_t completion_entries = 4096;
  /// Where the ladder starts. Tests set it to reach the lower rungs on any kernel.
  RingMode best_mode = RingMode::deferred;
};

/// What has happened so far; for health reports and tests.
struct RingCounters {
  std::uint64_t enters = 0;            ///< io_uring_enter calls
  std::uint64_t cqes = 0;              ///< completions reaped, of every kind
  std::uint64_t wakes = 0;             ///< of those, from the wake poll
  std::uint64_t wake_rearms = 0;       ///< times the kernel ended the wake poll and it was renewed
  std::uint64_t sq_full = 0;           ///< times a full submission queue was submitted early
  std::uint64_t cq_overflows = 0;      ///< times the completion queue was found overflowing
  std::uint64_t overflow_flushes = 0;  ///< operations that waited outside a full submission queue
};

/// What the running kernel can do.
struct KernelFeatures {
  /// Whether a ring can be made at all; if not, the rest is empty.
  bool io_uring = false;
  /// `features` as io_uring_setup reports them.
  std::uint32_t feature_word = 0;
  /// By opcode.
  std::bitset<256> operations;

  /// Linux 6.15: waiting loops do not count as iowait.
  [[nodiscard]] bool no_iowait() const noexcept;
  /// Linux 6.7: waiting for a process is an operation.
  [[nodiscard]] bool waitid() const noexcept;
};

/// Probes the kernel with a small ring of its own, once; later calls return the same answer.
/// Thread safety: any thread.
[[nodiscard]] const KernelFeatures& kernel_features();

/// One io_uring instance and its wake-up, for one thread.
///
/// Built on any thread; the thread that calls `enable()` owns it from then on. Operations prepared
/// earlier are submitted by the first `wait` or `poll`.
///
/// Errors: a call from another thread than the owner's, in a child process after fork(), after
/// `close()`, or a wait before `enable()`, throws InvalidStateError and changes nothing. Errors of
/// io_uring_enter that waiting does not cure are std::system_error.
///
/// Thread safety: distinct rings are independent. One ring is the owner's alone; other threads
/// reach it by writing to its wake eventfd.
///
/// fork(): the child has neither the ring's memory (the mapping is not inherited) nor its file
/// descriptor (closed by a pthread_atfork handler: held open, it would keep the parent's operations
/// alive). Destroying the object there frees its memory and nothing else. A child made by a raw
/// clone or _Fork runs no handlers and must exec or exit.
class Ring {
 public:
  /// Chosen, not measured: cancelled reads of files end when the disk answers.
  static constexpr std::chrono::nanoseconds default_close_limit = std::chrono::seconds{2};

  /// Parameters:
  ///   wake_fd  an eventfd, nonblocking and close-on-exec, that outlives the ring and that the ring
  ///     does not own. A write to it ends `wait`. It is never read: each write is seen even though
  ///     the counter stays above zero.
  /// Throws: IoUringUnavailable where no ring can be made.
  explicit Ring(int wake_fd, RingOptions options = {});

  /// Closes with the default limit, unless an earlier `close` has already run into its own.
  ~Ring();

  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Makes the calling thread the owner and arms the wake-up. Further calls by the owner do
  /// nothing.
  void enable();

  /// Submits what is prepared, sleeps until a completion or the deadline (empty: none), then calls
  /// `complete` for everything that has completed. Never early, but possibly late: the kernel takes
  /// the deadline as a hint, and a wake-up counts as a completion, so callers read the clock again.
  /// Signals do not end it. A deadline that has passed makes it a `poll()`.
  void wait(std::optional<std::chrono::steady_clock::time_point> deadline = std::nullopt);

  /// As `wait`, without sleeping; without a system call if nothing is to be submitted or fetched.
  void poll();

  /// Prepares a read of at most 2 GiB - 4 KiB at `offset`, which is ignored for pipes and sockets;
  /// -1 is the current position. `result` is the count, or a negative errno.
  /// Throws: std::bad_alloc, in which case nothing was started.
  void read(Operation& operation, int fd, std::span<std::byte> buffer, std::uint64_t offset);

  /// Prepares one wait for any of `events` (POLLIN and so on). `result` is the events that are
  /// there, or a negative errno.
  /// Throws: std::bad_alloc, in which case nothing was started.
  void poll_once(Operation& operation, int fd, unsigned events);

  /// Asks the kernel to end the operation; its completion (-ECANCELED, or a success that was
  /// faster) still comes. Does nothing for one that is not in flight.
  /// Throws: std::bad_alloc, in which case nothing was asked.
  void cancel(Operation& operation);

  /// Cancels everything, hands each late completion to `discard`, and gives the ring back to the
  /// kernel once nothing is owed.
  ///
  /// Returns false if the limit passed first. Then the kernel may still write to the buffers of the
  /// operations in flight: they must be leaked, as the ring itself is (unless a later call
  /// succeeds). That happens for what the kernel cannot cancel, a read from a dead disk for
  /// example.
  ///
  /// Call it on the owner's thread. The kernel lets no other thread cancel or collect, and does not
  /// cancel by itself when that thread ends: on another one it returns true if nothing is in flight
  /// any more, else false at once. Calling it again is allowed; on a ring never enabled it discards
  /// what was prepared.
  bool close(std::chrono::nanoseconds limit = default_close_limit) noexcept;

  /// True in a child process of the one that made the ring.
  [[nodiscard]] bool forked() const noexcept;

  [[nodiscard]] RingMode mode() const noexcept;
  [[nodiscard]] const RingCounters& counters() const noexcept;
  /// Requests whose final completion was not seen, apart from the wake-up.
  [[nodiscard]] std::size_t owed() const noexcept;

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace siding::detail
