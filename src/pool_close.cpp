// SPDX-License-Identifier: MIT
// How a process pool breaks, and how it ends. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include "limit_text.hpp"
#include "live_rings.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace siding::detail {

// With the lock, of which it lets go.
void PoolCore::break_pool(Lock& lock, std::exception_ptr error) noexcept {
  if (!broken_) broken_ = std::move(error);
  starts_wanted_ = 0;
  JobQueue orphans;
  take_all_that_wait(orphans);
  // Popped with the lock, with which withdraw() looks at them. Each gets an error of its own, of
  // which nothing stays here: the caller's thread reads it, and destroys it.
  while (Job job = orphans.pop()) {
    std::exception_ptr reason = broken_error();
    lock.unlock();
    job.fail(std::move(reason));
    lock.lock();
  }
}

// With the lock, or on the manager's thread, which alone breaks the pool.
std::exception_ptr PoolCore::broken_error() const {
  // An object of its own for each call that fails.
  if (!unavailable_.empty()) return std::make_exception_ptr(ProcessPoolUnavailable(unavailable_));
  const auto wrap = [] {
    try {
      std::throw_with_nested(BrokenExecutor(
          fmt::format("the process pool is broken: {}", describe(std::current_exception()))));
    } catch (...) {
      return std::current_exception();
    }
  };
  try {
    std::rethrow_exception(broken_);
  } catch (const WorkerCrashed& crash) {
    try {
      throw WorkerCrashed(crash);  // the cause too
    } catch (...) {
      return wrap();
    }
  } catch (...) {
    return wrap();
  }
}

// A child of the program has a copy of the pool, whose manager and workers are the parent's.
bool PoolCore::is_inherited() const noexcept {
  return fork_generation.load(std::memory_order_relaxed) != forks_;
}

// With the lock, of which it lets go.
void PoolCore::begin_stop(Lock& lock, const ShutdownOptions& how) noexcept {
  stopping_ = true;
  make_room();
  if (how.cancel_pending) {
    cancel_rest_ = true;
    cancel_waiting(lock);
  }
  wake_manager();
}

// With the lock, of which it lets go.
void PoolCore::cancel_waiting(Lock& lock) noexcept {
  JobQueue cancelled;
  take_all_that_wait(cancelled);
  // Popped with the lock, with which withdraw() looks at them.
  while (Job job = cancelled.pop()) {
    lock.unlock();
    job.cancel();
    lock.lock();
  }
}

bool PoolCore::stop(const ShutdownOptions& how) {
  if (is_inherited()) {
    // The handle is leaked: a thread of the child may have the same one by now.
    if (manager_.joinable()) static_cast<void>(new std::thread(std::move(manager_)));
    return true;
  }
  if (how.wait && is_manager()) {
    throw InvalidStateError(
        "a process pool cannot be shut down with wait = true from a callback that it runs itself: "
        "it would wait for itself");
  }
  std::thread manager;
  {
    Lock lock(mutex_);
    begin_stop(lock, how);
    if (!how.wait) return true;
    const auto has_ended = [this] { return !manager_runs_; };
    if (how.timeout.has_value()) {
      const TimePoint until = saturating_add(Clock::now(), how.timeout.value());
      if (!ended_.wait_until(lock, until, has_ended)) return false;
    } else {
      ended_.wait(lock, has_ended);
    }
    ended_flag_.store(true, std::memory_order_release);  // also if nothing was ever called
    manager = std::move(manager_);
  }
  if (manager.joinable()) manager.join();
  return true;
}

Future<void> PoolCore::close(const ShutdownOptions& how) {
  Promise<void> promise;
  Future<void> future = promise.future();
  if (is_inherited()) {
    promise.set_value();
    return future;
  }
  Lock lock(mutex_);
  begin_stop(lock, how);
  if (!manager_runs_ || !how.wait) {
    lock.unlock();
    promise.set_value();
    return future;
  }
  TimePoint until = TimePoint::max();
  if (how.timeout.has_value()) until = saturating_add(Clock::now(), how.timeout.value());
  closings_.push_back({std::move(promise), until});
  note_deadline(until);
  return future;
}

// The manager, with the lock, of which it lets go: callbacks of the futures may run here.
void PoolCore::answer_closings(Lock& lock, bool ended) noexcept {
  if (closings_.empty()) return;
  const TimePoint now = Clock::now();
  std::vector<Closing> due;
  for (std::size_t i = 0; i < closings_.size();) {
    if (!ended && closings_[i].until > now) {
      ++i;
      continue;
    }
    due.push_back(std::move(closings_[i]));
    closings_.erase(closings_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (due.empty()) return;
  lock.unlock();
  const std::string stuck = ended ? std::string() : what_is_stuck();
  for (Closing& closing : due) {
    try {
      if (ended) {
        closing.promise.set_value();
      } else {
        closing.promise.set_exception(std::make_exception_ptr(TimeoutError(stuck)));
      }
    } catch (const InvalidStateError&) {
      // Who awaited it has cancelled it.
    }
  }
  lock.lock();
}

// Without the lock.
std::string PoolCore::what_is_stuck() const {
  const std::vector<std::string> names = running_calls();
  if (names.empty()) {
    return fmt::format("process pool {} has not ended in time: its workers are ending", options_.name);
  }
  return fmt::format(
      "process pool {} has not ended in time: still running: {}; close it again to wait on, or kill() it",
      options_.name, fmt::join(names, ", "));
}

void PoolCore::kill() noexcept {
  if (is_inherited()) return;
  Lock lock(mutex_);
  begin_stop(lock, {.wait = false, .cancel_pending = true, .timeout = {}});
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->state == PoolWorker::State::retiring) continue;
    worker->killed = true;
    send_death(*worker);
  }
}

}  // namespace siding::detail
