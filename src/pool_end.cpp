// SPDX-License-Identifier: MIT
// How the workers of a process pool die, and what becomes of their calls. See pool_core.hpp for who runs
// what.
#include "pool_core.hpp"

#include "spin.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
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
                    std::optional<Death> death) {
  const bool retired = worker->state == PoolWorker::State::retiring;
  SpinCount::forget(static_cast<std::uint32_t>(worker->pid));
  worker->state = PoolWorker::State::dead;
  std::erase(workers_, worker);
  std::erase(idle_, worker.get());
  generation_.fetch_add(1, std::memory_order_release);
  if (worker->outstanding > 1) surplus_ -= worker->outstanding - 1;
  struct Ended {
    JobNode* node;
    Ending why;  // none: it crashed
    std::uint32_t channel;
  };
  struct Waiting {
    std::uint64_t number;
    JobNode* node;
    std::uint32_t channel;
  };
  std::vector<Result> results;
  std::vector<Ended> running;
  std::vector<Waiting> waiting;
  std::vector<HeldBuffers> buffers;  // released without the lock
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    PoolWorker::Call& call = worker->calls[slot];
    if (call.node == nullptr) continue;
    const SlotState found = claim(worker->region->slots[slot].state);
    if (found == SlotState::done) {
      results.emplace_back();
      if (extract(worker, slot, results.back())) continue;
      results.pop_back();
    }
    if (!call.buffers.empty()) buffers.push_back(std::move(call.buffers));
    if (found == SlotState::queued || found == SlotState::empty) {
      waiting.push_back({call.number, std::exchange(call.node, nullptr), call.channel});
      continue;
    }
    // A call that was asked to stop, and died of it, was not innocent: it is told what it was asked for.
    Ending why = call.ending;
    if (worker->killed) why = Ending::killed;
    running.push_back({std::exchange(call.node, nullptr), why, call.channel});
    ++(why == Ending::none ? counts_.crashed : counts_.ended);
  }
  // The newest first, so that the oldest ends up in front.
  std::sort(waiting.begin(), waiting.end(),
            [](const Waiting& a, const Waiting& b) { return a.number > b.number; });
  const std::size_t settled = results.size() + running.size() + waiting.size();
  settling_ += settled;
  const bool failed_start = !retired && running.empty() && !worker->killed &&
                            !worker->has_finished_a_call;
  const bool crashed = !running.empty() && running.front().why == Ending::none && !worker->lost;
  lock.unlock();
  buffers.clear();
  if (worker->output != nullptr) worker->output->finish();
  for (Result& result : results) settle(result);
  // An object of its own: the calls' are their callers'.
  std::exception_ptr breaking;
  if (crashed && options_.on_crash == OnCrash::break_pool) {
    breaking = crash_error(*worker, running.front().node, death);
  }
  for (const Ended& ended : running) {
    std::exception_ptr error = ended.why == Ending::none
                                   ? crash_error(*worker, ended.node, death)
                                   : ended_error(*worker, *ended.node, ended.why);
    if (ended.why == Ending::none && try_again(*ended.node, error)) {
      waiting.push_back({0, ended.node, ended.channel});
    } else if (ended.node->begin_settling()) {
      ended.node->settle(std::move(error));
    } else {
      ended.node->let_go(nullptr);
    }
  }
  std::vector<Waiting> moved;
  for (const Waiting& call : waiting) {
    if (call.node->pin()) {
      moved.push_back(call);
    } else {
      call.node->let_go(nullptr);
    }
  }
  lock.lock();
  for (const Waiting& call : moved) {
    call.node->place = call.channel;
    const bool unwanted = call.node->unwanted || !worker->initialized;
    call.node->unpin(JobNode::Phase::queued);
    if (call.number == 0) ++counts_.retried;
    if (unwanted) {
      drop(lock, *call.node);
    } else {
      put_back(lock, *call.node);
    }
  }
  settling_ -= settled;
  if (failed_start && death.has_value()) {
    start_failed(lock, nullptr, crash_error(*worker, nullptr, death));
  } else if (breaking) {
    break_pool(lock, std::move(breaking));
    for (const std::shared_ptr<PoolWorker>& other : workers_) other->killed = true;
    kill_the_mad();
  }
  pump(lock);
}

// Whether a call whose worker died of it may be made again. Notes the report if so.
bool PoolCore::try_again(JobNode& node, const std::exception_ptr& crash) noexcept {
  if (node.limits == nullptr || options_.on_crash == OnCrash::break_pool) return false;
  CallLimits& limits = *node.limits;
  const std::size_t deaths = limits.deaths.size() + 1;
  if (deaths > limits.retries || deaths >= options_.poison_limit) return false;
  limits.queue_until = TimePoint::max();  // it waits anew
  try {
    limits.deaths.push_back(crash);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

}  // namespace siding::detail
