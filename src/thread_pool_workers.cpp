// SPDX-License-Identifier: MIT
// The workers of a thread pool. See thread_pool_core.hpp for the design.
#include "thread_pool_core.hpp"

#include "signals_blocked.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/detail/portable_call.hpp>

#include <fmt/format.h>

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace siding {

namespace {

thread_local const ThreadPool::Core* current_pool = nullptr;
thread_local ThreadPool::Core::Worker* current_worker = nullptr;

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

std::string_view ThreadPool::current_worker_name() noexcept {
  return current_worker != nullptr ? std::string_view(current_worker->name) : std::string_view();
}

// Any thread.
bool ThreadPool::Core::is_own_worker() const noexcept { return current_pool == this; }

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
  current_worker = &self;
  detail::blocked_help = this;
  set_system_name(options.thread_name_prefix, index);
  if (initialize()) {
    while (Job job = next_job(self)) {
      note(self, job);
      job.run();
    }
  }
  detail::blocked_help = nullptr;
  current_worker = nullptr;
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
    break_pool(std::current_exception());
    return false;
  }
}

// On a worker that has nothing to do. Empty: the pool has ended.
Job ThreadPool::Core::next_job(Worker& self) noexcept {
  {
    const std::lock_guard lock(mutex);
    if (self.busy) {
      --busy;
      self.call.store(nullptr, std::memory_order_relaxed);
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

// On a worker, before a call: so that it can be named while it runs.
void ThreadPool::Core::note(Worker& self, const Job& job) noexcept {
  const detail::JobNode& node = detail::JobAccess::node(job);
  const std::string_view name = node.call_name();
  if (!name.empty() || !self.call_name.empty()) [[unlikely]] {
    const std::lock_guard lock(mutex);
    try {
      self.call_name = name;
    } catch (const std::bad_alloc&) {
      self.call_name.clear();  // then it is known by its function
    }
  }
  self.call.store(&node.portable(), std::memory_order_relaxed);
}

// On a worker that waits for `node`, whose handle it holds. That job and no other: what the worker
// has locked, say, the job could not have had either.
void ThreadPool::Core::help(detail::JobNode& node) noexcept {
  Worker& self = *current_worker;
  const detail::PortableCall* const outer = self.call.load(std::memory_order_relaxed);
  std::string outer_name;
  Job job;
  {
    const std::lock_guard lock(mutex);
    if (dropping || broken) return;
    job = queue.remove(static_cast<const detail::JobNode*>(&node));
    if (!job) return;
    make_room();
    outer_name.swap(self.call_name);
  }
  note(self, job);
  job.run();
  const std::lock_guard lock(mutex);
  count(detail::last_call_end);
  self.call.store(outer, std::memory_order_relaxed);
  outer_name.swap(self.call_name);
}

}  // namespace siding
