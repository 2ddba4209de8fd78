// SPDX-License-Identifier: MIT
#pragma once

#include "job_levels.hpp"
#include "parker.hpp"
#include "spin.hpp"

#include <siding/detail/job_node.hpp>
#include <siding/thread_pool.hpp>

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

// One queue, one lock. A job that comes goes, under the lock, to exactly one place:
//   - to a worker that sleeps: it is taken off the stack of idle workers, gets the job in its hand,
//     and is woken after the lock is released;
//   - else into the queue, which a worker looks into before it goes idle, under the same lock; and
//     a new worker is made, if there are fewer than the maximum. Whichever worker is free first
//     takes the job: a new one may be busy with its initializer for long.
// So no job waits while a worker is idle or could be made, whatever the running jobs do, and no
// wake-up can be lost: nobody wakes "somebody". The stack makes the worker that went idle last the
// first to go on, whose core and cache are warm; surplus workers stay asleep.
//
// A worker ends early, because it was idle for too long or because the maximum was lowered, only where it
// has no job and its end is decided under the lock: in the same step it leaves the stack and ceases to
// count. So a job that comes after that finds another worker or makes one, and one that came before is in
// its hand, and it does not end. It cannot be joined by who decides, so each joins the one that ended
// before it, and the end of the pool joins the last.

namespace siding {

namespace detail {
struct PortableCall;
}

struct ThreadPool::Core final : detail::BlockedHelp {
  struct Worker {
    explicit Worker(std::chrono::nanoseconds spin_length) noexcept : spin(spin_length) {}

    pthread_t thread{};
    std::size_t index = 0;    // in its name; free for another when it has left
    std::string name;
    detail::Parker parker;
    Job hand;                // given with the wake-up; guarded by mutex until then
    Worker* below = nullptr;  // in the stack of idle workers; guarded by mutex
    bool idle = false;        // is on that stack; guarded by mutex
    bool busy = false;        // has a job; guarded by mutex
    bool fresh = true;        // has not looked for one yet; guarded by mutex
    bool left = false;        // does not count any more; guarded by mutex
    detail::Spin spin;        // the worker's own
    // What it runs, for who asks; the job itself may be gone at any moment. Null: it has not begun, or
    // has ended. Written by the worker, read with the lock; relaxed, since what it points to never
    // changes.
    std::atomic<const detail::PortableCall*> call{nullptr};
    // The name that the call was given; empty for most. Written by the worker with the lock, and before
    // `call`: who reads both with the lock sees those of one call.
    std::string call_name;
  };

  explicit Core(ThreadPoolOptions given);

  // thread_pool.cpp: calls on their way in
  void enqueue(Job job);
  bool full() const noexcept;
  void check_may_block() const;
  void make_room() noexcept;

  // thread_pool_workers.cpp
  void start_worker();
  std::size_t free_index() const noexcept;
  void work(Worker& self) noexcept;
  bool initialize() noexcept;
  Job next_job(Worker& self) noexcept;
  Job sleep(Worker& self) noexcept;
  void leave(Worker& worker) noexcept;
  void end_thread(Worker& self) noexcept;
  Worker* pop_idle() noexcept;
  void take_off(Worker& worker) noexcept;
  void wake_all_idle() noexcept;
  void set_max_workers(std::size_t workers);
  void note(Worker& self, const Job& job) noexcept;
  void help(detail::JobNode& node) noexcept override;
  void count(detail::CallEnd end) noexcept;
  bool is_own_worker() const noexcept;

  // thread_pool_end.cpp
  bool stop(const ShutdownOptions& how);
  std::vector<std::string> running_calls() const;
  void break_pool(std::exception_ptr error) noexcept;
  std::exception_ptr broken_error() const;
  template <class Settle>
  void settle_queue(Settle settle);

  ThreadPoolOptions options;  // never changes

  mutable std::mutex mutex;
  std::condition_variable ended;  // a worker has ended
  std::condition_variable room;   // for one who is blocked
  // All of it guarded by mutex.
  detail::JobLevels queue;
  std::vector<std::unique_ptr<Worker>> workers;  // whose threads have not come to their last lines
  std::unique_ptr<Worker> last_ended;            // to be joined
  Worker* idle = nullptr;
  std::size_t alive = 0;  // workers that have not left
  std::size_t starting = 0;  // of these, the ones that have not looked for a job yet
  std::size_t sleeping = 0;  // the length of the stack
  std::size_t blocked = 0;   // threads that wait for room in the queue
  std::size_t busy = 0;
  std::size_t max_workers = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  bool stopping = false;
  bool dropping = false;      // what is queued is being cancelled: no worker starts it any more
  std::exception_ptr broken;  // what the initializer threw
};

}  // namespace siding
