// SPDX-License-Identifier: MIT
// The pool as its users see it, and calls on their way into it. See thread_pool_core.hpp for the design.
#include "thread_pool_core.hpp"
#include "usable_cpus.hpp"
#include "worker_thread.hpp"

#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace siding {

namespace {

std::string default_prefix() {
  static std::atomic<unsigned> pools{0};
  return fmt::format("siding-{}", pools.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace

ThreadPool::Core::Core(ThreadPoolOptions given) : options(std::move(given)) {
  // The lock is held for a few dozen instructions: who finds it taken looks a little before it
  // sleeps. The benchmark W2 shows what it is worth.
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
  ::pthread_mutex_init(mutex.native_handle(), &attributes);
  ::pthread_mutexattr_destroy(&attributes);
}

ThreadPool::ThreadPool(ThreadPoolOptions options)
    : core_(std::make_unique<Core>(std::move(options))) {
  const std::optional<std::size_t> workers = core_->options.max_workers;
  if (workers == 0U) {
    throw std::invalid_argument(
        "ThreadPoolOptions::max_workers must be at least 1; leave it out for the default");
  }
  core_->max_workers = workers.value_or(std::min<std::size_t>(32, detail::usable_cpus() + 4));
  if (core_->options.min_workers > core_->max_workers) {
    throw std::invalid_argument(fmt::format(
        "ThreadPoolOptions::min_workers is {}, and the pool has {} workers at most; lower it, or raise "
        "max_workers",
        core_->options.min_workers, core_->max_workers));
  }
  const std::size_t stack = core_->options.stack_size;
  if (stack != 0 && stack < detail::smallest_stack()) {
    throw std::invalid_argument(fmt::format(
        "ThreadPoolOptions::stack_size is {} bytes, and a thread needs {} before it calls anything; "
        "raise it, or leave it out for the system's default",
        stack, detail::smallest_stack()));
  }
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

std::vector<std::string> ThreadPool::running_calls() const { return core_->running_calls(); }

std::size_t ThreadPool::max_workers() const noexcept {
  const std::lock_guard lock(core_->mutex);
  return core_->max_workers;
}

void ThreadPool::set_max_workers(std::size_t workers) { core_->set_max_workers(workers); }

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
        woken = pop_idle();
        woken->hand = std::move(job);
        woken->busy = true;
        ++busy;
        break;
      }
      if (alive < max_workers) start_worker();
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
  return options.queue_limit != 0 && queue.size() >= starting &&
         queue.size() - starting >= options.queue_limit;
}

// With the lock: the queue is full.
void ThreadPool::Core::check_may_block() const {
  if (options.when_full == WhenFull::fail) {
    throw QueueFull(fmt::format(
        "the queue of the thread pool is full: {} calls wait for a worker; submit it later, or "
        "raise ThreadPoolOptions::queue_limit",
        options.queue_limit));
  }
  if (is_own_worker()) {
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

}  // namespace siding
