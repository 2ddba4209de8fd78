// SPDX-License-Identifier: MIT
#include <siding/thread_pool.hpp>

#include <siding/detail/error_report.hpp>
#include <siding/detail/job_node.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

#include "parker.hpp"
#include "signals_blocked.hpp"
#include "spin.hpp"

#include <fmt/format.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
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

namespace siding {

namespace {

thread_local ThreadPool::Core* current_pool = nullptr;
thread_local const std::string* current_name = nullptr;

std::string default_prefix() {
  static std::atomic<unsigned> pools{0};
  return fmt::format("siding-{}", pools.fetch_add(1, std::memory_order_relaxed));
}

// The system keeps 15 characters: the index matters more than the end of the prefix.
void set_system_name(const std::string& prefix, std::size_t index) noexcept {
  try {
    constexpr std::size_t room = 15;
    const std::string suffix = fmt::format("_{}", index);
    const std::string name = prefix.substr(0, room - std::min(room, suffix.size())) + suffix;
    ::pthread_setname_np(::pthread_self(), name.substr(0, room).c_str());
  } catch (const std::bad_alloc&) {
    // The thread stays without a name of its own.
  }
}

}  // namespace

struct ThreadPool::Core final : detail::BlockedHelp {
  struct Worker {
    explicit Worker(std::chrono::nanoseconds spin_length) noexcept : spin(spin_length) {}

    std::thread thread;
    std::string name;
    detail::Parker parker;
    Job hand;                // given with the wake-up; guarded by mutex until then
    Worker* below = nullptr;  // in the stack of idle workers; guarded by mutex
    bool busy = false;        // has a job; guarded by mutex
    bool fresh = true;        // has not looked for one yet; guarded by mutex
    detail::Spin spin;        // the worker's own
  };

  explicit Core(ThreadPoolOptions given) : options(std::move(given)) {
    // The lock is held for a few dozen instructions: who finds it taken looks a little before it
    // sleeps. The benchmark W2 shows what it is worth.
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    ::pthread_mutex_init(mutex.native_handle(), &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }

  void enqueue(Job job);
  void start_worker();
  void work(Worker& self, std::size_t index) noexcept;
  bool initialize() noexcept;
  Job next_job(Worker& self) noexcept;
  void help(detail::JobNode& node) noexcept override;
  bool full() const noexcept;
  void check_may_block() const;
  void make_room() noexcept;
  void count(detail::CallEnd end) noexcept;
  bool stop(const ShutdownOptions& how);
  std::exception_ptr broken_error() const;
  template <class Settle>
  void settle_queue(Settle settle);

  ThreadPoolOptions options;
  std::size_t max_workers = 0;

  std::mutex mutex;
  std::condition_variable ended;  // a worker has ended
  std::condition_variable room;   // for one who is blocked
  // All of it guarded by mutex.
  JobQueue queue;
  std::vector<std::unique_ptr<Worker>> workers;
  Worker* idle = nullptr;
  std::size_t alive = 0;  // workers that have not ended
  std::size_t starting = 0;  // of these, the ones that have not looked for a job yet
  std::size_t sleeping = 0;  // the length of the stack
  std::size_t blocked = 0;   // threads that wait for room in the queue
  std::size_t busy = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  bool stopping = false;
  bool dropping = false;      // what is queued is being cancelled: no worker starts it any more
  std::exception_ptr broken;  // what the initializer threw
};

ThreadPool::ThreadPool(ThreadPoolOptions options)
    : core_(std::make_unique<Core>(std::move(options))) {
  const std::optional<std::size_t> workers = core_->options.max_workers;
  if (workers == 0U) {
    throw std::invalid_argument(
        "ThreadPoolOptions::max_workers must be at least 1; leave it out for the default");
  }
  core_->max_workers = workers.value_or(std::min<std::size_t>(32, detail::usable_cpus() + 4));
  if (core_->options.thread_name_prefix.empty()) {
    core_->options.thread_name_prefix = default_prefix();
  }
}

ThreadPool::~ThreadPool() { stop({}); }

void ThreadPool::enqueue(Job job) { core_->enqueue(std::move(job)); }

Job ThreadPool::withdraw(Job::Id job) noexcept {
  const std::lock_guard lock(core_->mutex);
  Job withdrawn = core_->queue.remove(job);
  if (withdrawn) core_->make_room();
  return withdrawn;
}

bool ThreadPool::stop(const ShutdownOptions& options) { return core_->stop(options); }

std::size_t ThreadPool::max_workers() const noexcept { return core_->max_workers; }

std::size_t ThreadPool::worker_count() const noexcept {
  const std::lock_guard lock(core_->mutex);
  return core_->alive;
}

ThreadPoolStatistics ThreadPool::statistics() const noexcept {
  const std::lock_guard lock(core_->mutex);
  return {.workers = core_->alive,
          .busy = core_->busy,
          .idle = core_->sleeping,
          .queued = core_->queue.size(),
          .completed = core_->completed,
          .failed = core_->failed};
}

std::string_view ThreadPool::current_worker_name() noexcept {
  return current_name != nullptr ? std::string_view(*current_name) : std::string_view();
}

// Any thread.
void ThreadPool::Core::enqueue(Job job) {
  Worker* woken = nullptr;
  {
    std::unique_lock lock(mutex);
    for (;;) {
      if (broken) std::rethrow_exception(broken_error());
      if (stopping) {
        throw ShutdownError(
            "the thread pool was shut down and takes no more work; submit before shutdown(), or "
            "make a new pool");
      }
      if (idle != nullptr) {
        woken = idle;
        idle = woken->below;
        --sleeping;
        woken->hand = std::move(job);
        woken->busy = true;
        ++busy;
        break;
      }
      if (workers.size() < max_workers) start_worker();
      if (!full() || (options.when_full == WhenFull::block && job.awaited())) {
        queue.push(std::move(job));
        break;
      }
      check_may_block();
      ++blocked;
      room.wait(lock);
      --blocked;
    }
  }
  if (woken != nullptr) woken->parker.unpark();
}

// With the lock. A job that a starting worker will come for waits for nobody.
bool ThreadPool::Core::full() const noexcept {
  return options.queue_limit != 0 && queue.size() >= options.queue_limit + starting;
}

// With the lock: the queue is full.
void ThreadPool::Core::check_may_block() const {
  if (options.when_full == WhenFull::fail) {
    throw QueueFull(fmt::format(
        "the queue of the thread pool is full: {} calls wait for a worker; submit it later, or "
        "raise ThreadPoolOptions::queue_limit",
        options.queue_limit));
  }
  if (current_pool == this) {
    throw QueueFull(
        "the queue of the thread pool is full, and one of its own workers cannot wait for room, "
        "which workers make: call the function here, or use another pool");
  }
  if (detail::current_scheduler != nullptr) {
    throw WouldBlockLoop(
        "the queue of the thread pool is full, and waiting for room would block the running loop: "
        "await the call with offload() or to_thread()");
  }
}

// With the lock: the queue has become shorter.
void ThreadPool::Core::make_room() noexcept {
  if (blocked != 0) room.notify_one();
}

// With the lock.
void ThreadPool::Core::count(detail::CallEnd end) noexcept {
  if (end == detail::CallEnd::returned) ++completed;
  if (end == detail::CallEnd::threw) ++failed;
}

// With the lock. Throws only if there is no worker at all: else the others will come by.
void ThreadPool::Core::start_worker() {
  try {
    auto worker = std::make_unique<Worker>(options.spin);
    const std::size_t index = workers.size();
    worker->name = fmt::format("{}_{}", options.thread_name_prefix, index);
    workers.reserve(index + 1);
    {
      const detail::SignalsBlocked signals;
      worker->thread = std::thread(&Core::work, this, std::ref(*worker), index);
    }
    workers.push_back(std::move(worker));
    ++alive;
    ++starting;
  } catch (const std::system_error& error) {
    if (!workers.empty()) return;
    throw std::system_error(
        error.code(),
        "the thread pool could not start a thread (see the limits of threads: ulimit -u, pids.max of "
        "the control group, kernel.threads-max; or memory is short)");
  } catch (...) {
    if (workers.empty()) throw;
  }
}

// The body of a worker.
void ThreadPool::Core::work(Worker& self, std::size_t index) noexcept {
  current_pool = this;
  current_name = &self.name;
  detail::blocked_help = this;
  set_system_name(options.thread_name_prefix, index);
  if (initialize()) {
    while (Job job = next_job(self)) job.run();
  }
  detail::blocked_help = nullptr;
  current_name = nullptr;
  const std::lock_guard lock(mutex);
  if (self.fresh) --starting;
  --alive;
  ended.notify_all();
}

// On a worker. False: the initializer threw, and the pool is broken.
bool ThreadPool::Core::initialize() noexcept {
  if (!options.initializer) return true;
  try {
    options.initializer();
    return true;
  } catch (...) {
    detail::log_error("the initializer of a thread pool threw; the pool is broken",
                      std::current_exception(), options.thread_name_prefix);
    {
      const std::lock_guard lock(mutex);
      if (!broken) broken = std::current_exception();
      for (; idle != nullptr; idle = idle->below) idle->parker.unpark();
      sleeping = 0;
      room.notify_all();
    }
    settle_queue([this](Job job) { job.fail(broken_error()); });
    return false;
  }
}

// Any thread, without the lock. Takes the queued jobs one by one: each stays in the queue, where
// withdraw() looks for it, until it is taken under the lock; and it is settled without the lock,
// since that may run callbacks.
template <class Settle>
void ThreadPool::Core::settle_queue(Settle settle) {
  for (;;) {
    Job job;
    {
      const std::lock_guard lock(mutex);
      job = queue.pop();
    }
    if (!job) return;
    settle(std::move(job));
  }
}

std::exception_ptr ThreadPool::Core::broken_error() const {
  try {
    std::rethrow_exception(broken);
  } catch (...) {
    try {
      std::throw_with_nested(BrokenExecutor(
          "the thread pool is broken, make a new one: its initializer threw: " +
          detail::describe(std::current_exception())));
    } catch (...) {
      return std::current_exception();
    }
  }
}

// On a worker that has nothing to do. Empty: the pool has ended.
Job ThreadPool::Core::next_job(Worker& self) noexcept {
  {
    const std::lock_guard lock(mutex);
    if (self.busy) {
      --busy;
      count(detail::last_call_end);
    }
    if (std::exchange(self.fresh, false)) --starting;
    self.busy = false;
    if (!dropping && !broken) {
      if (Job job = queue.pop()) {
        self.busy = true;
        ++busy;
        make_room();
        return job;
      }
    }
    if (stopping || broken) return Job();
    self.below = idle;
    idle = &self;
    ++sleeping;
  }
  if (const detail::WorkerSpin spinning; spinning) {
    self.spin.until([&self] { return self.parker.ready(); });
  }
  self.parker.park();  // the wake-up publishes the hand; empty: the pool was stopped
  return std::move(self.hand);
}

// On a worker that waits for `node`, whose handle it holds. That job and no other: what the worker
// has locked, say, the job could not have had either.
void ThreadPool::Core::help(detail::JobNode& node) noexcept {
  Job job;
  {
    const std::lock_guard lock(mutex);
    if (dropping || broken) return;
    job = queue.remove(static_cast<const detail::JobNode*>(&node));
    if (!job) return;
    make_room();
  }
  job.run();
  const std::lock_guard lock(mutex);
  count(detail::last_call_end);
}

bool ThreadPool::Core::stop(const ShutdownOptions& how) {
  if (how.wait && current_pool == this) {
    throw InvalidStateError(
        "a thread pool cannot be shut down with wait = true from one of its own workers: it would "
        "wait for itself; use {.wait = false} there, or shut it down on another thread");
  }
  std::vector<std::unique_ptr<Worker>> finished;
  bool all_ended = true;
  {
    std::unique_lock lock(mutex);
    stopping = true;
    for (; idle != nullptr; idle = idle->below) idle->parker.unpark();
    sleeping = 0;
    room.notify_all();
    if (how.cancel_pending && !queue.empty()) {
      dropping = true;
      lock.unlock();
      settle_queue([](Job job) { job.cancel(); });
      lock.lock();
    }
    if (!how.wait) return true;
    const auto ended_all = [this] { return alive == 0; };
    if (how.timeout.has_value()) {
      const TimePoint until = detail::saturating_add(Clock::now(), how.timeout.value());
      all_ended = ended.wait_until(lock, until, ended_all);
    } else {
      ended.wait(lock, ended_all);
    }
    if (all_ended) finished.swap(workers);
  }
  for (const std::unique_ptr<Worker>& worker : finished) worker->thread.join();
  return all_ended;
}

}  // namespace siding
