// SPDX-License-Identifier: MIT
// Calls that are taken back from workers, to be moved or cancelled, and those that are ended. See
// pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace siding::detail {

bool PoolCore::may_start() const noexcept {
  return workers_.size() + starts_wanted_ + starting_ < max_workers_;
}

// Whether a call that no worker has begun could be begun at once.
bool PoolCore::has_capacity() const noexcept {
  if (may_start() && !broken_) return true;
  return std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->unfinished() == 0 && worker->may_take();
  });
}

// A call was sent ahead to a worker that is still busy, and another worker is idle, or can be made since
// one has died: takes the call back into the queue.
void PoolCore::steal(Lock& lock) noexcept {
  if (surplus_ == 0 || queued_ != 0) return;
  PoolWorker* victim = nullptr;
  std::uint32_t most = 1;
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    const std::uint32_t unfinished = worker->unfinished();
    if (unfinished <= most) continue;
    victim = worker.get();
    most = unfinished;
  }
  if (victim != nullptr && has_capacity()) take_one_back(lock, *victim);
}

// With the lock, of which it may let go: a call that the worker has not begun, back into the queue.
bool PoolCore::take_one_back(Lock& lock, PoolWorker& victim) noexcept {
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    JobNode* node = victim.calls[slot].node;
    if (node == nullptr) continue;
    if (victim.region->slots[slot].state.load(std::memory_order_relaxed) != SlotState::queued) {
      continue;
    }
    // Not pin(): whoever has pinned it may be waiting for the lock.
    if (!node->try_pin()) continue;
    const std::uint32_t channel = victim.calls[slot].channel;
    if (!try_recall(victim, slot)) {
      node->unpin(JobNode::Phase::away);
      continue;
    }
    node->place = channel;
    node->unpin(JobNode::Phase::queued);
    put_back(lock, *node);
    return true;
  }
  return false;
}

// With the lock: every call that no worker has begun.
void PoolCore::take_all_that_wait(JobQueue& taken) noexcept {
  limited_.clear();
  while (queued_ != 0) {
    taken.push(queue_.pop());
    --queued_;
  }
  make_room();
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      JobNode* node = worker->calls[slot].node;
      if (node == nullptr || !node->try_pin()) continue;
      const bool recalled = try_recall(*worker, slot);
      node->unpin(recalled ? JobNode::Phase::queued : JobNode::Phase::away);
      if (recalled) taken.push(JobAccess::make(*node));
    }
  }
}

// With the lock, and the node pinned.
bool PoolCore::try_recall(PoolWorker& worker, std::uint32_t slot) noexcept {
  SlotState state = SlotState::queued;
  if (!worker.region->slots[slot].state.compare_exchange_strong(state, SlotState::empty,
                                                                std::memory_order_acq_rel)) {
    return false;
  }
  if (worker.initialized) ++worker.tasks_left;
  if (worker.output != nullptr) worker.output->forget(worker.calls[slot].number);
  take_out(worker, slot);
  return true;
}

// With the lock: the slot is free for another call.
void PoolCore::take_out(PoolWorker& worker, std::uint32_t slot) noexcept {
  unreserve(worker, slot);
  update_backlog();
  if (worker.outstanding != 0 || surplus_ == 0) return;
  // Calls that were sent ahead to others could go to this one. Awake, it will say so before it
  // sleeps. seq_cst: pairs with the worker's fence between `asleep` and its look at `backlog`.
  full_fence();
  if (worker.region->header.asleep.load(std::memory_order_relaxed) != 0) wake_manager();
}

PoolWorker::Call* PoolCore::find(const JobNode& node, PoolWorker*& worker,
                                 std::uint32_t& slot) noexcept {
  for (const std::shared_ptr<PoolWorker>& candidate : workers_) {
    if (candidate->token != node.place / slot_count) continue;
    worker = candidate.get();
    slot = node.place % slot_count;
    PoolWorker::Call& call = worker->calls[slot];
    return call.node == &node ? &call : nullptr;
  }
  return nullptr;
}

Job PoolCore::withdraw(Job::Id job) noexcept {
  const Lock lock(mutex_);
  Job found = queue_.remove(job);
  if (!found) return found;
  --queued_;
  JobNode& node = JobAccess::node(found);
  if (node.limits != nullptr) unqueue_limited(node);
  make_room();
  return found;
}

bool PoolCore::recall(JobNode& node) noexcept {
  const Lock lock(mutex_);
  PoolWorker* worker = nullptr;
  std::uint32_t slot = 0;
  return find(node, worker, slot) != nullptr && try_recall(*worker, slot);
}

bool PoolCore::has_begun(const JobNode& node) noexcept {
  const Lock lock(mutex_);
  PoolWorker* worker = nullptr;
  std::uint32_t slot = 0;
  return find(node, worker, slot) != nullptr &&
         worker->region->slots[slot].state.load(std::memory_order_acquire) != SlotState::queued;
}

void PoolCore::interrupt(JobNode& node) noexcept {
  const Lock lock(mutex_);
  PoolWorker* worker = nullptr;
  std::uint32_t slot = 0;
  PoolWorker::Call* call = find(node, worker, slot);
  if (call == nullptr) {
    node.unwanted = true;  // its worker is being buried, or its result is on its way
    return;
  }
  if (!call->takes_token || options_.cancel_grace.count() <= 0) {
    kill(*worker, slot, Ending::cancelled);
    return;
  }
  // If it was asked before, by its run_limit, that time counts.
  call->ending = Ending::cancelled;
  call->end_at = std::min(call->end_at, saturating_add(Clock::now(), options_.cancel_grace));
  call->look_at = std::min(call->look_at, call->end_at);
  worker->look_at = std::min(worker->look_at, call->look_at);
  note_deadline(worker->look_at);
  ask_to_stop(*worker, slot);
}

// With the lock: trips the function's stop token.
void PoolCore::ask_to_stop(PoolWorker& worker, std::uint32_t slot) noexcept {
  // release: the worker's second thread, woken by the count, sees the slot's word.
  worker.region->slots[slot].stop.store(1, std::memory_order_release);
  worker.region->header.stop_requests.fetch_add(1, std::memory_order_release);
  futex_wake(worker.region->header.stop_requests);
}

// With the lock. Hits this call or nothing: a worker that was faster keeps its result. False: it was.
bool PoolCore::kill(PoolWorker& worker, std::uint32_t slot, Ending why) noexcept {
  PoolWorker::Call& call = worker.calls[slot];
  call.end_at = TimePoint::max();
  std::atomic<SlotState>& word = worker.region->slots[slot].state;
  // It is running, unless the worker writes nonsense.
  SlotState state = SlotState::running;
  while (!word.compare_exchange_weak(state, SlotState::killing, std::memory_order_acq_rel)) {
    if (state == SlotState::done) return false;
  }
  call.ending = why;
  worker.doomed = true;
  send_death(worker);
  return true;
}

// With the lock. A worker may have begun before the zygote's word of its start was heard: then again
// when it is. First SIGTERM, then when its time is over SIGKILL.
void PoolCore::send_death(PoolWorker& worker) noexcept {
  if (!worker.condemned() || !worker.handle) return;
  int signal = SIGKILL;
  const TimePoint now = Clock::now();
  if (worker.doomed && !worker.mad && !worker.killed && !worker.lost &&
      options_.kill_grace.count() > 0) {
    if (worker.sigkill_at == TimePoint::max()) {
      signal = SIGTERM;
      worker.sigkill_at = saturating_add(now, options_.kill_grace);
      note_deadline(worker.sigkill_at);
    } else if (worker.sigkill_at > now) {
      return;
    }
  }
  if (signal == SIGKILL) worker.sigkill_at = TimePoint::max();
  const long sent = ::syscall(SYS_pidfd_send_signal, worker.handle.get(), signal, nullptr, 0);
  // Under valgrind 3.19. The number is still the worker's unless its end is about to be heard of.
  if (sent < 0 && errno == ENOSYS) ::kill(worker.pid, signal);
}

}  // namespace siding::detail
