// SPDX-License-Identifier: MIT
// Results on their way back, and the loops that await them. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include "limit_text.hpp"

#include <siding/detail/remote_exception.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace siding::detail {

namespace {

constexpr std::size_t batch_size = 16;

}  // namespace

// The loop behind the channel, or the manager.
void PoolCore::collect(std::uint32_t channel) noexcept {
  bool more = true;
  while (more) {
    std::array<Result, batch_size> batch;
    std::size_t count = 0;
    {
      Lock lock(mutex_);
      more = false;
      for (std::size_t i = 0; i < workers_.size() && !more; ++i) {
        const std::shared_ptr<PoolWorker>& worker = workers_[i];
        Channel& source = worker->region->channels[channel];
        // acquire: pairs with the worker's release; entries and results are visible.
        const std::uint32_t tail = source.tail.load(std::memory_order_acquire);
        std::uint32_t head = worker->collected[channel].load(std::memory_order_relaxed);
        if (tail - head > slot_count) {
          note_madness(*worker);
          head = tail;
        }
        while (head != tail) {
          if (count == batch_size) {
            more = true;
            break;
          }
          const std::uint32_t slot =
              source.entries[head++ % slot_count].load(std::memory_order_relaxed) % slot_count;
          if (worker->calls[slot].channel == channel && extract(worker, slot, batch[count])) {
            ++count;
          }
        }
        worker->collected_in_all +=
            head - worker->collected[channel].load(std::memory_order_relaxed);
        worker->collected[channel].store(head, std::memory_order_relaxed);
      }
      settling_.fetch_add(count, std::memory_order_relaxed);
      if (queued_ != 0 && count != 0) pump(lock);
      if (channel == 0) serve_buffers();
    }
    for (std::size_t i = 0; i < count; ++i) settle(batch[i]);
    // release: who waits for the pool's end sees what was settled.
    if (count != 0 && settling_.fetch_sub(count, std::memory_order_acq_rel) == count && stopping_) {
      wake_manager();
    }
  }
}

// With the lock. False: there is no result in the slot.
bool PoolCore::extract(const std::shared_ptr<PoolWorker>& worker, std::uint32_t slot,
                       Result& result) {
  PoolWorker::Call& call = worker->calls[slot];
  Slot& source = worker->region->slots[slot];
  if (call.node == nullptr ||
      source.state.load(std::memory_order_acquire) != SlotState::done) {
    return false;
  }
  worker->has_finished_a_call = true;
  failed_starts_ = 0;
  if (call.ending != Ending::none) {
    ++counts_.ended;  // asked to stop, it has returned
  } else {
    ++(source.kind == ReplyKind::value ? counts_.completed : counts_.failed);
  }
  if (options_.max_rss != 0 && !worker->leaving) note_growth(*worker);
  result.node = std::exchange(call.node, nullptr);
  result.kind = source.kind;
  result.late = call.ending == Ending::timed_out;
  result.slot = slot;
  result.pid = worker->pid;
  result.bytes = nullptr;
  result.worker = nullptr;
  result.call = call.number;
  result.buffers = std::move(call.buffers);
  result.sender = nullptr;
  if (worker->region->buffers.sent[slot].load(std::memory_order_relaxed) != 0) result.sender = worker;
  const Payload payload = source.reply;  // one copy: the worker may change its mind
  result.size = static_cast<std::size_t>(payload.size);
  if (payload.where == Payload::in_slot && payload.size <= inline_size) {
    std::memcpy(result.small.data(), source.bytes, result.size);
    source.state.store(SlotState::empty, std::memory_order_release);
    take_out(*worker, slot);
    return true;
  }
  // The slot, and with it the bytes in the arena, are the worker's again when they were read.
  result.worker = worker;
  const std::size_t room = worker->region.arena_size();
  if (payload.where == Payload::in_arena && payload.offset <= room &&
      payload.size <= room - payload.offset) {
    result.bytes = worker->region.replies() + payload.offset;
  } else {
    result.size = 0;  // decoding it fails
    result.kind = ReplyKind::value;
    note_madness(*worker);
  }
  return true;
}

// Without the lock: user code decodes, and a pinned node is waited for.
void PoolCore::settle(Result& result) noexcept {
  JobNode& node = *result.node;
  ResultBuffers buffers(std::move(result.buffers),
                        result.sender != nullptr ? &result.sender->buffers : nullptr, result.call);
  WireReader in({result.bytes != nullptr ? result.bytes : result.small.data(), result.size},
                &buffers);
  std::exception_ptr error;
  if (result.kind == ReplyKind::error) {
    error = decode_exception(in, result.pid, name_of(node));
  }
  if (result.late) error = late_error(node, result.pid);
  if (!node.begin_settling()) {
    node.let_go(std::move(error));
  } else if (error) {
    node.settle(std::move(error));
  } else {
    node.settle(in);
  }
  if (result.worker == nullptr) return;
  const std::shared_ptr<PoolWorker> worker = std::move(result.worker);
  if (result.bytes != nullptr) {
    const auto offset = static_cast<std::size_t>(result.bytes - worker->region.replies());
    if (Region::is_large(offset, result.size)) {
      Region::release(worker->region.replies(), offset, result.size);
    }
  }
  Lock lock(mutex_);
  worker->region->slots[result.slot].state.store(SlotState::empty, std::memory_order_release);
  take_out(*worker, result.slot);
  pump(lock);
}

std::exception_ptr PoolCore::late_error(const JobNode& node, pid_t pid) const {
  return std::make_exception_ptr(
      TimeoutError(fmt::format("{} ran for longer than its run_limit of {} in worker process {}",
                               name_of(node), text_of(node.limits->run), pid)));
}

std::string PoolCore::name_of(const JobNode& node) const {
  const std::string_view given = node.call_name();
  return given.empty() ? node.portable().describe() : std::string(given);
}

// Any thread. A node in a slot is there while the lock is held: who settles it takes it out before.
std::vector<std::string> PoolCore::running_calls() const {
  std::vector<std::string> names;
  const Lock lock(mutex_);
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      const JobNode* const node = worker->calls[slot].node;
      if (node == nullptr) continue;
      const SlotState state = worker->region->slots[slot].state.load(std::memory_order_relaxed);
      if (state == SlotState::running || state == SlotState::killing) names.push_back(name_of(*node));
    }
  }
  return names;
}

// From now on a completion of the channel writes its eventfd. False: something is waiting already.
bool PoolCore::fall_asleep(std::uint32_t channel) noexcept {
  const Lock lock(mutex_);
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    worker->region->channels[channel].armed.store(1, std::memory_order_relaxed);
  }
  // seq_cst: pairs with the worker's fence between its tail and its look at `armed`.
  full_fence();
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->region->channels[channel].tail.load(std::memory_order_acquire) !=
        worker->collected[channel].load(std::memory_order_relaxed)) {
      return false;
    }
  }
  return true;
}

PoolCore::Workers PoolCore::snapshot() const {
  const Lock lock(mutex_);
  return workers_;
}

void PoolCore::set_attached(std::uint32_t channel, bool attached) noexcept {
  const Lock lock(mutex_);
  homes_[channel].attached = attached;
  if (!attached) wake_manager();  // it takes over
}

void PoolCore::forget_loop(std::uint32_t channel) noexcept {
  std::shared_ptr<Inbox> inbox;  // released without the lock
  const Lock lock(mutex_);
  inbox = std::move(homes_[channel].inbox);
}

void PoolChannel::attach() noexcept {
  refresh();
  core_->set_attached(number_, true);
}

void PoolChannel::detach() noexcept { core_->set_attached(number_, false); }

void PoolChannel::loop_closed() noexcept { core_->forget_loop(number_); }

void PoolChannel::refresh() noexcept {
  seen_ = core_->generation();
  workers_ = core_->snapshot();
}

bool PoolChannel::has_mail() noexcept {
  if (core_->generation() != seen_) refresh();
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->region->channels[number_].tail.load(std::memory_order_relaxed) !=
        worker->collected[number_].load(std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void PoolChannel::reset_event() noexcept {
  std::uint64_t count = 0;
  static_cast<void>(!::read(event_fd_, &count, sizeof count));
}

void PoolChannel::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(event_fd_, &one, sizeof one));
}

}  // namespace siding::detail
