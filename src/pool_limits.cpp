// SPDX-License-Identifier: MIT
// What has a time limit in a process pool: calls that wait, calls that run, and those that were asked to
// stop; and the bound of the queue. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include "limit_text.hpp"

#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace siding::detail {

// With the lock. The manager sleeps no longer than until then.
void PoolCore::note_deadline(TimePoint when) noexcept {
  if (when >= manager_sleeps_until_) return;
  manager_sleeps_until_ = when;
  wake_manager();
}

// With the lock: the call is being published. The worker tells nobody when it begins, so the manager looks
// at the earliest time at which there could be something to do.
void PoolCore::limit_call(PoolWorker& worker, PoolWorker::Call& call) noexcept {
  const CallLimits& limits = *call.node->limits;
  call.run_limit = limits.run;
  call.queue_until = limits.queue_until;
  call.sent_at = Clock::now();
  call.look_at = std::min(call.queue_until, saturating_add(call.sent_at, call.run_limit));
  worker.look_at = std::min(worker.look_at, call.look_at);
  note_deadline(worker.look_at);
}

// With the lock. Throws std::bad_alloc.
void PoolCore::queue_limited(JobNode& node) {
  CallLimits& limits = *node.limits;
  if (limits.queue == CallLimits::none) return;
  // Not counted anew when a call comes back from a worker.
  if (limits.queue_until == TimePoint::max()) {
    limits.queue_until = saturating_add(Clock::now(), limits.queue);
  }
  limited_.emplace(limits.queue_until, &node);
  note_deadline(limits.queue_until);
}

// With the lock: it leaves the queue.
void PoolCore::unqueue_limited(JobNode& node) noexcept {
  auto [entry, end] = limited_.equal_range(node.limits->queue_until);
  for (; entry != end; ++entry) {
    if (entry->second != &node) continue;
    limited_.erase(entry);
    return;
  }
}

namespace {

// Chosen: a canceller holds a call for some microseconds.
constexpr std::chrono::milliseconds pin_retry{1};

// Chosen: how long a worker in a sandbox can keep the results of others from a loop.
constexpr std::chrono::milliseconds look_for_stolen_words{50};

std::exception_ptr queue_limit_error(const std::string& name, std::chrono::nanoseconds limit) {
  return std::make_exception_ptr(TimeoutError(fmt::format(
      "no worker process was free for {} within its queue_limit of {}", name, text_of(limit))));
}

}  // namespace

// With the lock, of which it lets go: calls in the queue that have waited for too long.
void PoolCore::fail_overdue(Lock& lock) noexcept {
  while (!limited_.empty() && limited_.begin()->first <= Clock::now()) {
    JobNode& node = *limited_.begin()->second;
    limited_.erase(limited_.begin());
    Job job = queue_.remove(&node);
    --queued_;
    std::exception_ptr late = queue_limit_error(name_of(node), node.limits->queue);
    make_room();
    lock.unlock();
    job.fail(std::move(late));
    lock.lock();
  }
}

// With the lock, of which it lets go.
void PoolCore::look_at_calls(Lock& lock) noexcept {
  const TimePoint now = Clock::now();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::shared_ptr<PoolWorker> worker = workers_[i];
    if (worker->sigkill_at <= now) send_death(*worker);
    if (worker->look_at > now) continue;
    worker->look_at = TimePoint::max();
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      if (worker->calls[slot].node == nullptr) continue;
      if (worker->calls[slot].look_at <= now && look_at(lock, *worker, slot, now)) {
        i = static_cast<std::size_t>(-1);  // the workers may be others now
        worker->look_at = now;
        break;
      }
      worker->look_at = std::min(worker->look_at, worker->calls[slot].look_at);
    }
  }
}

// With the lock. True: it let go of it.
bool PoolCore::look_at(Lock& lock, PoolWorker& worker, std::uint32_t slot, TimePoint now) noexcept {
  PoolWorker::Call& call = worker.calls[slot];
  const Slot& word = worker.region->slots[slot];
  call.look_at = TimePoint::max();
  // acquire: pairs with the worker's; when it began is visible.
  const SlotState state = word.state.load(std::memory_order_acquire);
  if (state == SlotState::queued) {
    if (call.queue_until > now) {
      call.look_at = std::min(call.queue_until, saturating_add(now, call.run_limit));
      return false;
    }
    call.look_at = saturating_add(now, pin_retry);
    // Not pin(): whoever has pinned it may be waiting for the lock.
    if (!call.node->try_pin()) return false;
    JobNode& node = *call.node;
    const std::uint32_t channel = call.channel;
    if (!try_recall(worker, slot)) {
      node.unpin(JobNode::Phase::away);
      return false;
    }
    node.place = channel;
    node.unpin(JobNode::Phase::queued);
    std::exception_ptr late = queue_limit_error(name_of(node), node.limits->queue);
    make_room();
    lock.unlock();
    JobAccess::make(node).fail(std::move(late));
    lock.lock();
    return true;
  }
  if (state == SlotState::done || state == SlotState::killing) return false;
  if (call.end_at <= now) {
    kill(worker, slot, call.ending);
    return false;
  }
  if (call.end_at != TimePoint::max()) {
    call.look_at = call.end_at;
    return false;
  }
  if (call.run_limit == CallLimits::none) return false;
  // What the worker says is bounded by what is known, in case it is mad.
  const TimePoint said{std::chrono::nanoseconds(word.began.load(std::memory_order_relaxed))};
  const TimePoint until = saturating_add(std::clamp(said, call.sent_at, now), call.run_limit);
  if (until > now) {
    call.look_at = until;
  } else {
    overrun(worker, slot, now);
  }
  return false;
}

// With the lock: a call runs for longer than it may.
void PoolCore::overrun(PoolWorker& worker, std::uint32_t slot, TimePoint now) noexcept {
  PoolWorker::Call& call = worker.calls[slot];
  if (!call.takes_token || options_.cancel_grace.count() <= 0) {
    kill(worker, slot, Ending::timed_out);
    return;
  }
  call.ending = Ending::timed_out;
  call.end_at = saturating_add(now, options_.cancel_grace);
  call.look_at = call.end_at;
  ask_to_stop(worker, slot);
}

// With the lock.
std::optional<TimePoint> PoolCore::next_deadline() const noexcept {
  TimePoint next = next_retirement();
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    next = std::min({next, worker->look_at, worker->sigkill_at});
  }
  if (starts_wanted_ != 0 && !broken_) next = std::min(next, next_start_);
  if (!limited_.empty()) next = std::min(next, limited_.begin()->first);
  for (const Closing& closing : closings_) next = std::min(next, closing.until);
  if (options_.sandbox.has_value() && std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
        return worker->outstanding != 0;
      })) {
    next = std::min(next, Clock::now() + look_for_stolen_words);
  }
  if (next == TimePoint::max()) return std::nullopt;
  return next;
}

// With the lock: calls that no worker has begun, without those that a starting worker will take.
std::size_t PoolCore::waiting_calls() const noexcept {
  std::size_t waiting = queued_ - std::min(queued_, starts_wanted_ + starting_);
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    const std::size_t unfinished = worker->unfinished();
    if (unfinished > 1) waiting += unfinished - 1;
  }
  return waiting;
}

// With the lock, of which it lets go. Throws if who submits cannot wait.
void PoolCore::wait_for_room(Lock& lock, const Job& job) {
  const auto full = [this] {
    return !stopping_ && !broken_ && !may_start() && waiting_calls() >= options_.queue_limit &&
           !has_capacity();
  };
  if (options_.queue_limit == 0 || !full()) return;
  if (options_.when_full == WhenFull::fail) {
    throw QueueFull(fmt::format(
        "the queue of the process pool is full: {} calls wait for a worker; submit it later, or raise "
        "ProcessPoolOptions::queue_limit",
        options_.queue_limit));
  }
  if (job.awaited()) return;  // its task waits, and submits nothing else
  if (is_manager()) {
    throw QueueFull(
        "the queue of the process pool is full, and a callback that the pool itself runs cannot wait for "
        "room: submit from another thread, or await the call on a loop");
  }
  if (current_scheduler != nullptr) {
    throw WouldBlockLoop(
        "the queue of the process pool is full, and waiting for room would block the running loop: "
        "await the call with offload() or to_process()");
  }
  ++blocked_;
  while (full()) room_.wait(lock);
  --blocked_;
}

}  // namespace siding::detail
