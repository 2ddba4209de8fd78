// SPDX-License-Identifier: MIT
// How a thread pool breaks and ends. See thread_pool_core.hpp for the design.
#include "thread_pool_core.hpp"
#include "worker_thread.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/error.hpp>
#include <siding/time.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace siding {

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

// On a worker, in a handler.
void ThreadPool::Core::break_pool(std::exception_ptr error) noexcept {
  detail::log_error("the initializer of a thread pool threw; the pool is broken", error,
                    options.thread_name_prefix);
  {
    const std::lock_guard lock(mutex);
    if (!broken) broken = std::move(error);
    wake_all_idle();
    room.notify_all();
  }
  settle_queue([this](Job job) { job.fail(broken_error()); });
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

bool ThreadPool::Core::stop(const ShutdownOptions& how) {
  if (how.wait && is_own_worker()) {
    throw InvalidStateError(
        "a thread pool cannot be shut down with wait = true from one of its own workers: it would "
        "wait for itself; use {.wait = false} there, or shut it down on another thread");
  }
  std::unique_ptr<Worker> last;
  bool all_ended = true;
  {
    std::unique_lock lock(mutex);
    stopping = true;
    wake_all_idle();
    room.notify_all();
    if (how.cancel_pending && !queue.empty()) {
      dropping = true;
      lock.unlock();
      settle_queue([](Job job) { job.cancel(); });
      lock.lock();
    }
    if (!how.wait) return true;
    const auto ended_all = [this] { return workers.empty(); };
    if (how.timeout.has_value()) {
      const TimePoint until = detail::saturating_add(Clock::now(), how.timeout.value());
      all_ended = ended.wait_until(lock, until, ended_all);
    } else {
      ended.wait(lock, ended_all);
    }
    if (all_ended) last.swap(last_ended);
  }
  if (last != nullptr) detail::join_thread(last->thread);
  return all_ended;
}

// Any thread.
std::vector<std::string> ThreadPool::Core::running_calls() const {
  std::vector<std::string> names;
  const std::lock_guard lock(mutex);
  for (const std::unique_ptr<Worker>& worker : workers) {
    const detail::PortableCall* const call = worker->call.load(std::memory_order_relaxed);
    if (call == nullptr) continue;
    names.push_back(worker->call_name.empty() ? call->describe() : worker->call_name);
  }
  return names;
}

}  // namespace siding
