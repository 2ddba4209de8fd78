// SPDX-License-Identifier: MIT
// How workers of a process pool are let go: those that have done their part, have grown or are old, and
// those that nobody needs. See pool_core.hpp for who runs what.
//
// A worker ends when it is told to and has no call: it never decides by itself, so no call can be on its
// way to a worker that is about to end.
#include "pool_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>

namespace siding::detail {

// With the lock: none of its slots is in use.
void PoolCore::note_idle(PoolWorker& worker) noexcept {
  if (worker.leaving || worker.tasks_left == 0 || stopping_ || broken_) return wake_manager();
  if (!worker.initialized) return;
  idle_.push_back(&worker);
  if (!options_.idle_timeout.has_value()) return;
  worker.idle_since = Clock::now();
  note_deadline(saturating_add(worker.idle_since, options_.idle_timeout.value()));
}

// With the lock: a call of the worker has ended.
void PoolCore::note_growth(PoolWorker& worker) noexcept {
  const std::uint32_t mebibytes = worker.region->header.large.load(std::memory_order_relaxed);
  if (mebibytes == 0) return;
  worker.leaving = true;
  wake_manager();
  try {
    notices_.push_back(fmt::format(
        "worker process {} of pool {} is replaced: it uses {} MiB, and max_rss is {:.1f} MiB", worker.pid,
        options_.name, mebibytes, static_cast<double>(options_.max_rss) / (1024.0 * 1024.0)));
  } catch (const std::exception&) {
    // There is no memory for the line.
  }
}

// With the lock: it has no call, and gets none any more.
void PoolCore::retire(PoolWorker& worker) noexcept {
  worker.state = PoolWorker::State::retiring;
  std::erase(idle_, &worker);
  if (!stopping_ && !broken_) ++counts_.retired;
  RegionHeader& header = worker.region->header;
  header.retire.store(1, std::memory_order_release);
  // seq_cst: as in publish().
  full_fence();
  if (header.asleep.exchange(0, std::memory_order_acq_rel) != 0) futex_wake(header.asleep);
}

// With the lock, of which it may let go.
void PoolCore::retire_those_due(Lock& lock) noexcept {
  const TimePoint now = Clock::now();
  const bool ending = (stopping_ || broken_) && queued_ == 0;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::shared_ptr<PoolWorker> worker = workers_[i];
    if (worker->state == PoolWorker::State::retiring || worker->condemned()) continue;
    if (worker->expires_at <= now) worker->leaving = true;
    // What was sent ahead to it goes to others.
    while (worker->leaving && worker->outstanding > 1 && take_one_back(lock, *worker)) i = 0;
    if (worker->outstanding != 0 || worker->state == PoolWorker::State::retiring) continue;
    if (ending || worker->leaving || worker->tasks_left == 0) retire(*worker);
  }
  if (!options_.idle_timeout.has_value() || stopping_) return;
  const TimePoint since = saturating_add(now, -options_.idle_timeout.value());
  std::size_t alive = 0;
  for (const auto& worker : workers_) alive += worker->state != PoolWorker::State::retiring;
  while (alive > options_.min_workers) {
    PoolWorker* oldest = nullptr;
    for (PoolWorker* worker : idle_) {
      if (worker->outstanding == 0 && worker->idle_since <= since &&
          (oldest == nullptr || worker->idle_since < oldest->idle_since)) {
        oldest = worker;
      }
    }
    if (oldest == nullptr) return;
    retire(*oldest);
    --alive;
  }
}

// With the lock.
TimePoint PoolCore::next_retirement() const noexcept {
  TimePoint next = TimePoint::max();
  std::size_t alive = 0;
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->state == PoolWorker::State::retiring) continue;
    ++alive;
    if (!worker->leaving) next = std::min(next, worker->expires_at);
  }
  if (!options_.idle_timeout.has_value() || stopping_ || alive <= options_.min_workers) return next;
  for (const PoolWorker* worker : idle_) {
    if (worker->outstanding != 0) continue;
    next = std::min(next, saturating_add(worker->idle_since, options_.idle_timeout.value()));
  }
  return next;
}

}  // namespace siding::detail
