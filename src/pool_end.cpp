// SPDX-License-Identifier: MIT
// How the workers of a process pool die, and how a pool breaks and ends. See pool_core.hpp for who
// runs what.
#include "pool_core.hpp"

#include "live_rings.hpp"
#include "spin.hpp"

#include <siding/cancellation.hpp>
#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace siding::detail {

namespace {

/// What a slot was when its worker died; nonsense counts as running. A worker that is not quite dead
/// yet, because its zygote died first, cannot move it on from there.
SlotState claim(std::atomic<SlotState>& state) noexcept {
  SlotState found = state.load(std::memory_order_acquire);
  for (;;) {
    SlotState next = SlotState::killing;
    if (found == SlotState::queued) next = SlotState::empty;
    if (found == SlotState::done || found == SlotState::empty) next = found;
    if (next == found || state.compare_exchange_weak(found, next, std::memory_order_acq_rel)) {
      return next == SlotState::killing && found != SlotState::killing ? SlotState::running : found;
    }
  }
}

}  // namespace

// With the lock: the worker is dead, and what it had is settled or moved.
void PoolCore::bury(Lock& lock, const std::shared_ptr<PoolWorker>& worker,
                    std::optional<int> status) {
  const bool retired = worker->state == PoolWorker::State::retiring;
  SpinCount::forget(static_cast<std::uint32_t>(worker->pid));
  worker->state = PoolWorker::State::dead;
  std::erase(workers_, worker);
  std::erase(idle_, worker.get());
  generation_.fetch_add(1, std::memory_order_release);
  if (worker->outstanding > 1) surplus_ -= worker->outstanding - 1;
  std::vector<Result> results;
  std::vector<JobNode*> running;
  std::vector<JobNode*> killed;
  std::vector<std::pair<std::uint64_t, std::pair<JobNode*, std::uint32_t>>> waiting;
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    PoolWorker::Call& call = worker->calls[slot];
    if (call.node == nullptr) continue;
    switch (claim(worker->region->slots[slot].state)) {
      case SlotState::done:
        results.emplace_back();
        if (extract(worker, slot, results.back())) break;
        results.pop_back();
        running.push_back(std::exchange(call.node, nullptr));
        break;
      case SlotState::running:
        running.push_back(std::exchange(call.node, nullptr));
        break;
      case SlotState::killing:
        killed.push_back(std::exchange(call.node, nullptr));
        break;
      case SlotState::queued:
      case SlotState::empty:
        waiting.push_back({call.number, {std::exchange(call.node, nullptr), call.channel}});
        break;
    }
  }
  // The newest first, so that the oldest ends up in front.
  std::sort(waiting.begin(), waiting.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  const std::size_t settled = results.size() + running.size() + killed.size() + waiting.size();
  settling_ += settled;
  const bool failed_start = !retired && running.empty() && killed.empty() &&
                            !worker->has_finished_a_call;
  lock.unlock();
  for (Result& result : results) settle(result);
  for (JobNode* node : running) {
    if (node->begin_settling()) {
      node->settle(crash_error(*worker, *node, status));
    } else {
      node->let_go(nullptr);
    }
  }
  for (JobNode* node : killed) {
    if (node->begin_settling()) {
      node->settle(std::make_exception_ptr(Cancelled("its worker process was ended")));
    } else {
      node->let_go(nullptr);
    }
  }
  std::vector<std::pair<JobNode*, std::uint32_t>> moved;
  for (const auto& [number, call] : waiting) {
    if (call.first->pin()) {
      moved.push_back(call);
    } else {
      call.first->let_go(nullptr);
    }
  }
  lock.lock();
  for (const auto& [node, channel] : moved) {
    node->place = channel;
    const bool unwanted = node->unwanted || !worker->initialized;
    node->unpin(JobNode::Phase::queued);
    if (unwanted) {
      drop(lock, *node);
    } else {
      put_back(lock, *node);
    }
  }
  settling_ -= settled;
  if (failed_start && status.has_value()) {
    start_failed(lock, nullptr, crash_error(*worker, std::string(), status));
  }
  pump(lock);
}

// With the lock.
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

// With the lock.
std::exception_ptr PoolCore::broken_error() const {
  // An object of its own for each call that fails.
  if (!unavailable_.empty()) return std::make_exception_ptr(ProcessPoolUnavailable(unavailable_));
  try {
    std::rethrow_exception(broken_);
  } catch (...) {
    try {
      std::throw_with_nested(BrokenExecutor(fmt::format("the process pool is broken: {}",
                                                        describe(std::current_exception()))));
    } catch (...) {
      return std::current_exception();
    }
  }
}

std::exception_ptr PoolCore::crash_error(const PoolWorker& worker, const JobNode& node,
                                         std::optional<int> status) const {
  return crash_error(worker, name_of(node), status);
}

std::exception_ptr PoolCore::crash_error(const PoolWorker& worker, const std::string& call,
                                         std::optional<int> status) const {
  std::string how = "was killed together with its zygote";
  int signal = 0;
  int exit_status = 0;
  if (status.has_value()) {
    how = text_of_status(*status);
    if (WIFSIGNALED(*status)) {
      signal = WTERMSIG(*status);
      if (worker.mad) {
        how += ", because it had scribbled over the memory that it shares with the program,";
      }
    } else {
      exit_status = WEXITSTATUS(*status);
    }
  }
  const std::string when =
      call.empty() ? std::string("before its first call") : fmt::format("while it ran {}", call);
  return std::make_exception_ptr(WorkerCrashed(
      fmt::format("worker process {} of pool {} {} {}", worker.pid, options_.name, how, when),
      worker.pid, signal, exit_status, call));
}

bool PoolCore::stop(const ShutdownOptions& how) {
  // A child of the program has a copy of the pool, whose manager and workers are the parent's.
  if (fork_generation.load(std::memory_order_relaxed) != forks_) {
    // The handle is leaked: a thread of the child may have the same one by now.
    if (manager_.joinable()) static_cast<void>(new std::thread(std::move(manager_)));
    return true;
  }
  if (how.wait && is_manager()) {
    throw InvalidStateError(
        "a process pool cannot be shut down with wait = true from a callback that it runs itself: "
        "it would wait for itself");
  }
  JobQueue cancelled;
  std::thread manager;
  {
    Lock lock(mutex_);
    stopping_ = true;
    if (how.cancel_pending) {
      cancel_rest_ = true;
      take_all_that_wait(cancelled);
    }
    wake_manager();
    // Popped with the lock, with which withdraw() looks at them.
    while (Job job = cancelled.pop()) {
      lock.unlock();
      job.cancel();
      lock.lock();
    }
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

}  // namespace siding::detail
