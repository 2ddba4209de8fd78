// SPDX-License-Identifier: MIT
#pragma once

#include "arena.hpp"
#include "file_descriptor.hpp"
#include "job_levels.hpp"
#include "pool_buffers.hpp"
#include "pool_output.hpp"
#include "worker_region.hpp"
#include "zygote.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/completion_source.hpp>
#include <siding/detail/inbox.hpp>
#include <siding/executor.hpp>
#include <siding/job.hpp>
#include <siding/process_pool.hpp>
#include <siding/promise.hpp>
#include <siding/time.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

// Who does what in a process pool:
//
//   any thread        enqueue: into the queue, and on to a worker that is free
//   a loop's thread   takes the results of the calls it awaits out of the workers' memory, and sends
//                     the next calls there
//   the manager       a thread of the pool: makes workers, hears of their deaths, kills, and takes the
//                     results that no running loop awaits. What a loop awaits does not wait for it.
//   a worker          a process: worker_process.cpp
//
// One lock guards what the program knows. It is held neither while user code runs (encoding,
// decoding, settling) nor while somebody waits for a pinned node, whose canceller may want the lock.

namespace siding::detail {

/// One worker process as the program knows it. Guarded by the pool's lock, except where said.
struct PoolWorker : std::enable_shared_from_this<PoolWorker> {
  enum class State { starting, alive, retiring, dead };

  /// Why the worker is ended while it runs a call.
  enum class Ending : std::uint8_t { none, cancelled, timed_out, killed };

  struct Piece {
    std::size_t offset;
    std::size_t size;
  };

  /// A call that lies in the slot of the same number.
  struct Call {
    JobNode* node = nullptr;  // null: the slot is free, or reserved
    std::uint64_t number = 0;
    std::uint32_t channel = 0;
    bool takes_token = false;
    Ending ending = Ending::none;
    std::optional<Piece> piece;  // of the arena for arguments
    TimePoint sent_at{};
    TimePoint look_at = TimePoint::max();  // when the manager looks what has become of it
    TimePoint end_at = TimePoint::max();   // it was asked to stop, and has time until then
    std::chrono::nanoseconds run_limit = CallLimits::none;
    TimePoint queue_until = TimePoint::max();
    HeldBuffers buffers;  // what its arguments name
  };

  explicit PoolWorker(std::uint32_t token_given);

  /// Whether it can be given a call.
  bool may_take() noexcept;
  /// Marks it as mad if it says nonsense.
  bool ring_has_room() noexcept;
  /// Calls that it has not ended. Others that are outstanding have results which nobody has collected
  /// yet, because the loop that awaits them is busy.
  std::uint32_t unfinished() const noexcept;
  /// Empty if every slot is in use.
  std::uint32_t reserve() noexcept;
  /// True: there is something in `released`.
  bool free_slot(std::uint32_t index) noexcept;
  /// Whether one of its calls is to be killed, or itself.
  bool condemned() const noexcept { return doomed || mad || killed || lost; }

  const std::uint32_t token;
  State state = State::starting;
  pid_t pid = -1;
  FileDescriptor handle;   // a pidfd
  FileDescriptor control;  // a socket
  Region region;           // the memory itself: see worker_region.hpp
  Arena requests{0};
  bool requests_full = false;  // until a piece of it is free again
  std::vector<Piece> released;  // large ones, whose memory the manager gives back before they are free
  std::array<Call, slot_count> calls;
  BufferDesk buffers{region, control};
  std::vector<std::uint32_t> free_slots;
  std::uint32_t outstanding = 0;  // slots that are not free
  std::uint32_t submitted_tail = 0;
  std::uint32_t channels_known = 0;  // a bit for each channel whose eventfd it has
  bool has_finished_a_call = false;
  bool doomed = false;  // one of its calls is to be killed
  bool mad = false;     // wrote nonsense: the manager kills it
  bool killed = false;  // with the whole pool
  bool lost = false;    // its zygote is gone
  bool initialized = false;  // else it takes no call but the initializer
  bool leaving = false;      // takes no more calls, and is let go when it has none
  std::size_t tasks_left = 0;  // until it is replaced
  TimePoint look_at = TimePoint::max();  // the earliest of its calls', or earlier
  TimePoint sigkill_at = TimePoint::max();  // it was sent SIGTERM, and has time until then
  TimePoint expires_at = TimePoint::max();
  TimePoint idle_since{};
  // How many entries of each channel were taken; written with the lock, read without it.
  std::array<std::atomic<std::uint32_t>, channel_count> collected{};
  std::uint32_t collected_in_all = 0;
  std::unique_ptr<WorkerOutput> output;  // where output is relayed; the manager's, but its names
};

class PoolChannel;

class PoolCore final : public RemoteExecutor, public std::enable_shared_from_this<PoolCore> {
 public:
  explicit PoolCore(ProcessPoolOptions options);
  ~PoolCore();

  void enqueue(Job job);
  Job withdraw(Job::Id job) noexcept;
  bool stop(const ShutdownOptions& how);
  Future<void> close(const ShutdownOptions& how);
  void kill() noexcept;
  std::size_t max_workers() const noexcept { return max_workers_; }
  std::size_t worker_count() const noexcept;
  std::vector<std::string> running_calls() const;
  bool healthy() const noexcept;
  ProcessPoolStatistics statistics() const noexcept;

  // RemoteExecutor
  bool recall(JobNode& node) noexcept override;
  bool has_begun(const JobNode& node) noexcept override;
  void interrupt(JobNode& node) noexcept override;

  // For PoolChannel.
  using Workers = std::vector<std::shared_ptr<PoolWorker>>;
  std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }
  Workers snapshot() const;
  void set_attached(std::uint32_t channel, bool attached) noexcept;
  void forget_loop(std::uint32_t channel) noexcept;
  void collect(std::uint32_t channel) noexcept;
  bool fall_asleep(std::uint32_t channel) noexcept;
  bool ended() const noexcept { return ended_flag_.load(std::memory_order_acquire); }

 private:
  using Lock = std::unique_lock<std::mutex>;
  using Ending = PoolWorker::Ending;

  // A finished call on its way from a worker's memory to its node.
  struct Result {
    JobNode* node;
    ReplyKind kind;
    bool late;  // past its run_limit
    std::size_t size;
    const std::byte* bytes;  // null: in `small`
    std::shared_ptr<PoolWorker> worker;  // holds a slot whose result is read in place
    std::uint32_t slot;
    pid_t pid;
    std::uint64_t call;
    HeldBuffers buffers;                 // what its arguments named
    std::shared_ptr<PoolWorker> sender;  // null: it sent no buffer with its result
    std::array<std::byte, inline_size> small;
  };

  struct Home {
    FileDescriptor event;
    std::shared_ptr<Inbox> inbox;  // kept, so that its address names one loop; null: free
    bool attached = false;         // the loop runs and collects
    std::weak_ptr<PoolChannel> source;
  };

  // What the zygote said of a worker's end.
  struct Death {
    int status = 0;
    ResourceUsage usage{};
  };

  struct Closing {
    Promise<void> promise;
    TimePoint until;
  };

  // pool_dispatch.cpp: calls on their way to workers
  std::uint32_t channel_of(JobNode& node);
  void pump(Lock& lock);
  std::shared_ptr<PoolWorker> choose();
  void hand_over(Lock& lock, const std::shared_ptr<PoolWorker>& worker, JobNode& node);
  void hand_over_reserved(Lock& lock, const std::shared_ptr<PoolWorker>& worker,
                          std::uint32_t slot, JobNode& node);
  void publish(PoolWorker& worker, std::uint32_t slot, JobNode& node);
  void tell_channel(PoolWorker& worker, std::uint32_t channel);
  void unreserve(PoolWorker& worker, std::uint32_t slot) noexcept;
  void put_back(Lock& lock, JobNode& node) noexcept;
  void drop(Lock& lock, JobNode& node) noexcept;
  void update_backlog() noexcept;

  // pool_limits.cpp: what has a time limit, and the queue's bound
  void note_deadline(TimePoint when) noexcept;
  void limit_call(PoolWorker& worker, PoolWorker::Call& call) noexcept;
  void queue_limited(JobNode& node);
  void unqueue_limited(JobNode& node) noexcept;
  void fail_overdue(Lock& lock) noexcept;
  void look_at_calls(Lock& lock) noexcept;
  bool look_at(Lock& lock, PoolWorker& worker, std::uint32_t slot, TimePoint now) noexcept;
  void overrun(PoolWorker& worker, std::uint32_t slot, TimePoint now) noexcept;
  std::optional<TimePoint> next_deadline() const noexcept;
  std::size_t waiting_calls() const noexcept;
  void wait_for_room(Lock& lock, const Job& job);
  void make_room() noexcept {
    if (blocked_ != 0) room_.notify_all();
  }

  // pool_recall.cpp: calls that are taken back, or ended
  bool may_start() const noexcept;
  bool has_capacity() const noexcept;
  void steal(Lock& lock) noexcept;
  bool take_one_back(Lock& lock, PoolWorker& victim) noexcept;
  void take_all_that_wait(JobQueue& taken) noexcept;
  PoolWorker::Call* find(const JobNode& node, PoolWorker*& worker, std::uint32_t& slot) noexcept;
  bool try_recall(PoolWorker& worker, std::uint32_t slot) noexcept;
  void ask_to_stop(PoolWorker& worker, std::uint32_t slot) noexcept;
  bool kill(PoolWorker& worker, std::uint32_t slot, Ending why) noexcept;
  void send_death(PoolWorker& worker) noexcept;
  void take_out(PoolWorker& worker, std::uint32_t slot) noexcept;

  // pool_collect.cpp: results on their way back
  bool extract(const std::shared_ptr<PoolWorker>& worker, std::uint32_t slot, Result& result);
  void settle(Result& result) noexcept;
  std::string name_of(const JobNode& node) const;
  std::exception_ptr late_error(const JobNode& node, pid_t pid) const;

  // pool_buffers.cpp: shared buffers
  void serve_buffers() noexcept;

  // pool_manager.cpp: the manager
  void check_usable() const;
  void start_manager();
  void manage() noexcept;
  void kill_the_mad() noexcept;
  void release_memory(Lock& lock) noexcept;
  void write_notices(Lock& lock) noexcept;
  void note_madness(PoolWorker& worker) noexcept;
  void wake_manager() noexcept;
  void take_event(std::uint32_t channel) noexcept;
  void wake_loops_again() noexcept;
  bool is_manager() const noexcept;

  // pool_starts.cpp: how workers are made
  void get_zygote();
  void start_worker(Lock& lock);
  void start_failed(Lock& lock, const std::shared_ptr<PoolWorker>& worker,
                    std::exception_ptr error) noexcept;
  void hear_zygote(Lock& lock);
  void hear_the_last_of_zygote(Lock& lock);
  void lose_zygote(Lock& lock);

  // pool_retire.cpp: how workers are let go
  void note_idle(PoolWorker& worker) noexcept;
  void note_growth(PoolWorker& worker) noexcept;
  void retire(PoolWorker& worker) noexcept;
  void retire_those_due(Lock& lock) noexcept;
  TimePoint next_retirement() const noexcept;

  // pool_end.cpp: dead workers
  void bury(Lock& lock, const std::shared_ptr<PoolWorker>& worker, std::optional<Death> death);
  bool try_again(JobNode& node, const std::exception_ptr& crash) noexcept;

  // pool_crash.cpp: what is told of them
  CrashDetails crash_details(const PoolWorker& worker, const std::string& call,
                             const std::optional<Death>& death) const;
  std::string crash_text(const PoolWorker& worker, const CrashDetails& details,
                         const std::optional<Death>& death) const;
  std::exception_ptr crash_error(const PoolWorker& worker, const JobNode* node,
                                 const std::optional<Death>& death) const;
  std::exception_ptr ended_error(const PoolWorker& worker, const JobNode& node, Ending why) const;

  // pool_close.cpp: broken pools, and the end
  void break_pool(Lock& lock, std::exception_ptr error) noexcept;
  std::exception_ptr broken_error() const;
  bool is_inherited() const noexcept;
  void begin_stop(Lock& lock, const ShutdownOptions& how) noexcept;
  void cancel_waiting(Lock& lock) noexcept;
  void answer_closings(Lock& lock, bool ended) noexcept;
  std::string what_is_stuck() const;

  friend class InitializerCall;

  const ProcessPoolOptions options_;
  const std::size_t max_workers_;
  const std::uint32_t forks_;  // a child of the program, where it is another, has no manager

  mutable std::mutex mutex_;
  // All of it guarded by mutex_.
  JobLevels queue_;
  std::size_t queued_ = 0;  // in queue_
  std::multimap<TimePoint, JobNode*> limited_;  // of those in queue_ that may wait so long only
  Workers workers_;
  std::vector<PoolWorker*> idle_;  // the one that became idle last is at the end
  std::size_t surplus_ = 0;        // calls that were sent ahead: slots in use beyond one per worker
  bool backlog_ = false;           // what the workers were told
  std::size_t starts_wanted_ = 0;
  std::size_t starting_ = 0;  // the manager is asking for it
  std::uint32_t next_token_ = 1;
  std::uint64_t next_call_ = 1;
  std::array<Home, channel_count> homes_;
  std::atomic<bool> stopping_{false};  // written with the lock
  bool cancel_rest_ = false;           // what has not started is cancelled
  std::exception_ptr broken_;
  std::string unavailable_;     // the text of broken_ where no zygote is to be had; else empty
  unsigned failed_starts_ = 0;  // in a row
  TimePoint next_start_{};      // not before
  TimePoint manager_sleeps_until_ = TimePoint::min();  // its own: min while it is awake
  std::condition_variable ended_;
  std::condition_variable room_;
  std::size_t blocked_ = 0;  // threads that wait for room
  std::vector<Closing> closings_;
  ProcessPoolStatistics counts_;  // the part that only grows
  std::vector<std::string> notices_;  // lines for the log, which the manager writes without the lock
  bool manager_runs_ = false;
  std::thread manager_;

  std::atomic<std::size_t> settling_{0};      // calls that are between queue, slot and caller
  std::atomic<std::uint64_t> generation_{0};  // changes with workers_
  std::atomic<bool> ended_flag_{false};       // no call is left, and none will come
  // The manager's; of a snapshot made by the constructor.
  std::shared_ptr<Zygote> zygote_;
  FileDescriptor connection_;  // to the zygote
  FileDescriptor setup_;       // a memfd: what the workers are made like
  bool init_failed_ = false;
};

/// The results of a pool that one loop awaits.
class PoolChannel final : public CompletionSource {
 public:
  PoolChannel(std::shared_ptr<PoolCore> core, std::uint32_t number, int event_fd)
      : core_(std::move(core)), number_(number), event_fd_(event_fd) {}

  void attach() noexcept override;
  void detach() noexcept override;
  void loop_closed() noexcept override;
  bool has_mail() noexcept override;
  void collect() noexcept override { core_->collect(number_); }
  bool fall_asleep() noexcept override { return core_->fall_asleep(number_); }
  void reset_event() noexcept override;
  void wake() noexcept override;
  int event_fd() const noexcept override { return event_fd_; }
  bool ended() const noexcept override { return core_->ended(); }

 private:
  void refresh() noexcept;

  const std::shared_ptr<PoolCore> core_;
  const std::uint32_t number_;
  const int event_fd_;  // the core's
  PoolCore::Workers workers_;
  std::uint64_t seen_ = ~std::uint64_t{0};
};

}  // namespace siding::detail
