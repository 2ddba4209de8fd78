// SPDX-License-Identifier: MIT
// The workers of a thread pool. See thread_pool_core.hpp for the design.
#include "thread_pool_core.hpp"

#include "signals_blocked.hpp"
#include "worker_thread.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/detail/portable_call.hpp>

#include <fmt/format.h>

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <system_error>
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
    worker->index = free_index();
    worker->name = fmt::format("{}_{}", options.thread_name_prefix, worker->index);
    workers.reserve(workers.size() + 1);
    {
      const detail::SignalsBlocked signals;
      worker->thread = detail::start_thread(options.stack_size, [this, self = worker.get()] {
        work(*self);
      });
    }
    workers.push_back(std::move(worker));
    ++alive;
    ++starting;
  } catch (const std::system_error& error) {
    if (alive != 0) return;
    throw std::system_error(
        error.code(),
        "the thread pool could not start a thread (see the limits of threads: ulimit -u, pids.max of "
        "the control group, kernel.threads-max; or memory is short for its stack)");
  } catch (...) {
    if (alive == 0) throw;
  }
}

// With the lock. The smallest that no worker has: the names of those that have left are used again.
std::size_t ThreadPool::Core::free_index() const noexcept {
  std::size_t index = 0;
  const auto has_it = [&index](const std::unique_ptr<Worker>& worker) {
    return !worker->left && worker->index == index;
  };
  while (std::any_of(workers.begin(), workers.end(), has_it)) ++index;
  return index;
}

// The body of a worker.
void ThreadPool::Core::work(Worker& self) noexcept {
  current_pool = this;
  current_worker = &self;
  detail::blocked_help = this;
  set_system_name(options.thread_name_prefix, self.index);
  if (initialize()) {
    while (Job job = next_job(self)) {
      note(self, job);
      job.run();
    }
  }
  detail::blocked_help = nullptr;
  current_worker = nullptr;
  end_thread(self);
}

// With the lock, for a worker that has no job: on itself, or on one that was just taken off the stack.
void ThreadPool::Core::leave(Worker& worker) noexcept {
  worker.left = true;
  --alive;
}

// The last lines of a worker.
void ThreadPool::Core::end_thread(Worker& self) noexcept {
  std::unique_ptr<Worker> before;
  {
    const std::lock_guard lock(mutex);
    if (self.fresh) --starting;
    if (!self.left) leave(self);
    const auto own = std::find_if(workers.begin(), workers.end(),
                                  [&self](const auto& worker) { return worker.get() == &self; });
    before = std::exchange(last_ended, std::move(*own));
    workers.erase(own);
    ended.notify_all();
  }
  if (before != nullptr) detail::join_thread(before->thread);
}

// With the lock.
ThreadPool::Core::Worker* ThreadPool::Core::pop_idle() noexcept {
  Worker* const worker = idle;
  idle = worker->below;
  worker->idle = false;
  --sleeping;
  return worker;
}

// With the lock: takes an idle worker out of the middle of the stack.
void ThreadPool::Core::take_off(Worker& worker) noexcept {
  Worker** place = &idle;
  while (*place != &worker) place = &(*place)->below;
  *place = worker.below;
  worker.idle = false;
  --sleeping;
}

// With the lock: they find their hands empty, and end.
void ThreadPool::Core::wake_all_idle() noexcept {
  while (idle != nullptr) pop_idle()->parker.unpark();
}

// Any thread.
void ThreadPool::Core::set_max_workers(std::size_t count) {
  if (count == 0) {
    throw std::invalid_argument(
        "set_max_workers: a thread pool needs at least 1 worker, or no call would run; shut it down to "
        "have none");
  }
  const std::lock_guard lock(mutex);
  max_workers = count;
  // Those that are idle end now, those that are busy when they look for their next call.
  while (alive > max_workers && idle != nullptr) {
    Worker& surplus = *pop_idle();
    leave(surplus);
    surplus.parker.unpark();
  }
  // For each call that waits there may be a worker now.
  if (stopping || broken) return;
  for (std::size_t waiting = queue.size(); alive < max_workers && waiting > starting;) {
    const std::size_t before = alive;
    start_worker();
    if (alive == before) break;  // no thread is to be had: the workers that there are will come by
  }
  if (blocked != 0) room.notify_all();
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
    if (alive > max_workers) {  // others that are left will come by
      leave(self);
      return Job();
    }
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
    self.idle = true;
    idle = &self;
    ++sleeping;
  }
  return sleep(self);
}

// On a worker that is on the stack. Empty: it shall end.
Job ThreadPool::Core::sleep(Worker& self) noexcept {
  if (const detail::WorkerSpin spinning; spinning) {
    self.spin.until([&self] { return self.parker.ready(); });
  }
  if (options.idle_timeout.has_value()) {
    const TimePoint until = detail::saturating_add(Clock::now(), options.idle_timeout.value());
    if (self.parker.park(until)) return std::move(self.hand);
    const std::lock_guard lock(mutex);
    // Else it was taken off the stack meanwhile, with something in its hand or to end: the wake-up is on
    // its way. Or it is one of the least: it has been idle longer than any other, and stays.
    if (self.idle && alive > options.min_workers) {
      take_off(self);
      leave(self);
      return Job();
    }
  }
  self.parker.park();  // the wake-up publishes the hand; empty: it shall end
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
