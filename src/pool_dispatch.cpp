// SPDX-License-Identifier: MIT
// Calls on their way to workers. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include <siding/detail/carried_variables.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

namespace siding::detail {

namespace {

// Calls in a worker's slots, the running one included. One that waits there saves a round trip of
// two wake-ups; more than one pays only where calls are so short that the wake-up dominates.
constexpr std::uint32_t depth_of_long_calls = 2;
constexpr std::uint32_t depth_of_short_calls = 32;
constexpr std::uint32_t short_nanoseconds = 50'000;

std::uint32_t place_of(const PoolWorker& worker, std::uint32_t slot) noexcept {
  return worker.token * slot_count + slot;
}

std::uint32_t depth(const PoolWorker& worker) noexcept {
  const std::uint32_t mean = worker.region->header.mean_nanoseconds.load(std::memory_order_relaxed);
  return mean != 0 && mean < short_nanoseconds ? depth_of_short_calls : depth_of_long_calls;
}

}  // namespace

// Any thread.
void PoolCore::enqueue(Job job) {
  check_usable();
  JobNode& node = JobAccess::node(job);
  const PortableCall& type = node.portable();
  if (type.thunk == nullptr) throw NotPortable(type.why_not());
  const std::uint32_t channel = channel_of(node);
  Lock lock(mutex_);
  wait_for_room(lock, job);
  if (broken_) std::rethrow_exception(broken_error());
  if (stopping_) throw ShutdownError("the process pool was shut down and takes no more work");
  if (!manager_runs_) start_manager();
  node.place = channel;
  if (node.limits != nullptr) queue_limited(node);
  try {
    queue_.push(std::move(job));
  } catch (...) {
    if (node.limits != nullptr) unqueue_limited(node);
    throw;
  }
  ++queued_;
  pump(lock);
}

// The channel of the loop that awaits the call. Made on that loop's thread, at its first call.
std::uint32_t PoolCore::channel_of(JobNode& node) {
  Inbox* inbox = node.awaited_by();
  Scheduler* scheduler = current_scheduler;
  if (inbox == nullptr || scheduler == nullptr || scheduler->inbox.get() != inbox) return 0;
  std::shared_ptr<PoolChannel> made;
  std::uint32_t number = 0;
  {
    const Lock lock(mutex_);
    for (std::uint32_t i = 1; i < channel_count; ++i) {
      if (homes_[i].inbox.get() == inbox) return i;
      if (number == 0 && homes_[i].inbox == nullptr) number = i;
    }
    if (number == 0) return 0;  // more loops than channels: the manager serves the others
    Home& home = homes_[number];
    if (!home.event) {
      home.event = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (!home.event) {
        throw std::system_error(errno, std::system_category(), "eventfd for a process pool");
      }
    }
    made = std::make_shared<PoolChannel>(shared_from_this(), number, home.event.get());
    home.inbox = scheduler->inbox;
    home.attached = false;
  }
  scheduler->add_source(std::move(made));
  return number;
}

// Sends as many queued calls to workers as may be.
void PoolCore::pump(Lock& lock) {
  while (queued_ != 0) {
    const std::shared_ptr<PoolWorker> worker = choose();
    if (worker == nullptr) break;
    JobNode& node = JobAccess::release(queue_.pop());
    --queued_;
    if (node.limits != nullptr) unqueue_limited(node);
    hand_over(lock, worker, node);
  }
  update_backlog();
  make_room();
}

// The worker that takes the next call: an idle one, also if results of its are still to be collected;
// else a new one is asked for, while there are fewer than the maximum; else the one that has least to
// do.
std::shared_ptr<PoolWorker> PoolCore::choose() {
  while (!idle_.empty()) {
    PoolWorker* worker = idle_.back();
    if (!worker->may_take()) {
      idle_.pop_back();
      continue;
    }
    return worker->shared_from_this();
  }
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->unfinished() == 0 && worker->may_take()) return worker;
  }
  if (may_start()) {
    if (starts_wanted_ < queued_) {
      ++starts_wanted_;
      wake_manager();
    }
    return nullptr;
  }
  if (starts_wanted_ + starting_ != 0) return nullptr;  // it will be here at once
  std::shared_ptr<PoolWorker> best;
  std::uint32_t least = 0;
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    const std::uint32_t unfinished = worker->unfinished();
    if (!worker->may_take() || unfinished >= depth(*worker)) {
      if (worker->mad) wake_manager();
      continue;
    }
    if (best != nullptr && unfinished >= least) continue;
    best = worker;
    least = unfinished;
  }
  return best;
}

// Writes the call into a slot of the worker. Lets go of the lock meanwhile.
void PoolCore::hand_over(Lock& lock, const std::shared_ptr<PoolWorker>& worker, JobNode& node) {
  const std::uint32_t slot = worker->reserve();
  ++settling_;  // the pool does not end meanwhile
  hand_over_reserved(lock, worker, slot, node);
  if (--settling_ == 0 && stopping_) wake_manager();
}

void PoolCore::hand_over_reserved(Lock& lock, const std::shared_ptr<PoolWorker>& worker,
                                  std::uint32_t slot, JobNode& node) {
  if (worker->outstanding == 1) {
    std::erase(idle_, worker.get());
  } else {
    ++surplus_;
  }
  lock.unlock();
  if (!node.begin_encoding()) {  // cancelled while it was queued: an empty shell
    JobAccess::make(node).cancel();
    lock.lock();
    return unreserve(*worker, slot);
  }
  const std::uint32_t channel = node.place;
  std::exception_ptr error;
  bool full = false;
  Slot& target = worker->region->slots[slot];
  ArgumentBuffers buffers;
  try {
    WireWriter measured(&buffers);
    node.encode(measured);
    const std::vector<std::byte> carried = write_carried(node.variables);  // empty for most
    const std::size_t size = measured.size() + carried.size();
    Payload& payload = target.request;
    payload.size = size;
    std::span<std::byte> room(target.bytes, inline_size);
    payload.where = Payload::in_slot;
    if (payload.size > inline_size) {
      payload.where = Payload::in_arena;
      if (payload.size > worker->region.arena_size()) {
        throw SerializationError(fmt::format(
            "the arguments take {} bytes, and a worker process can be sent {} at most (a limit of "
            "file sizes, RLIMIT_FSIZE, or of addresses, RLIMIT_AS, makes it less)",
            size, worker->region.arena_size()));
      }
      lock.lock();
      const std::optional<std::size_t> piece = worker->requests.take(size);
      if (piece.has_value()) {
        worker->calls[slot].piece = PoolWorker::Piece{*piece, size};
        payload.offset = *piece;
        room = {worker->region.requests() + *piece, size};
      }
      lock.unlock();
      full = !piece.has_value();
    }
    if (!full) {
      WireWriter out(room.first(measured.size()), &buffers);
      node.encode(out);
      if (!carried.empty()) {
        std::memcpy(room.data() + measured.size(), carried.data(), carried.size());
      }
      target.carried = static_cast<std::uint32_t>(carried.size());
      target.thunk = node.portable().identity();
    }
  } catch (...) {
    error = std::current_exception();
    if (lock.owns_lock()) lock.unlock();
  }
  if (error) {
    node.end_encoding(JobNode::Phase::queued);
    JobAccess::make(node).fail(std::move(error));
    lock.lock();
    return unreserve(*worker, slot);
  }
  lock.lock();
  worker->requests_full = worker->requests_full || full;
  if (full || worker->state == PoolWorker::State::dead || cancel_rest_) {
    unreserve(*worker, slot);
    node.place = channel;
    node.end_encoding(JobNode::Phase::queued);
    return worker->initialized ? put_back(lock, node) : drop(lock, node);
  }
  worker->calls[slot].channel = channel;
  worker->calls[slot].buffers = buffers.take();
  publish(*worker, slot, node);
  // Without the lock another worker may have become idle, or have died: the call need not wait here.
  if (worker->outstanding > 1 && has_capacity()) wake_manager();
}

void PoolCore::publish(PoolWorker& worker, std::uint32_t slot, JobNode& node) {
  PoolWorker::Call& call = worker.calls[slot];
  call.node = &node;
  call.number = next_call_++;
  call.takes_token = node.portable().takes_token;
  if (node.limits != nullptr) limit_call(worker, call);
  if (worker.initialized) --worker.tasks_left;
  if (worker.output != nullptr) worker.output->name(call.number, name_of(node));
  tell_channel(worker, call.channel);
  node.remote = this;
  node.place = place_of(worker, slot);
  node.end_encoding(JobNode::Phase::away);
  Slot& target = worker.region->slots[slot];
  target.channel = call.channel;
  target.call = call.number;
  target.takes_token = call.takes_token ? 1 : 0;
  target.stop.store(0, std::memory_order_relaxed);
  // release: pairs with the worker's acquire; what the call is made of is visible.
  target.state.store(SlotState::queued, std::memory_order_release);
  RegionHeader& header = worker.region->header;
  header.submitted[worker.submitted_tail++ % submission_count].store(slot,
                                                                     std::memory_order_relaxed);
  header.submitted_tail.store(worker.submitted_tail, std::memory_order_release);
  // seq_cst: pairs with the worker's fence between `asleep` and its last look at the tail.
  full_fence();
  if (header.asleep.load(std::memory_order_relaxed) != 0 &&
      header.asleep.exchange(0, std::memory_order_acq_rel) != 0) {
    futex_wake(header.asleep);
  }
}

// A worker that is to answer on a channel for the first time gets its eventfd.
void PoolCore::tell_channel(PoolWorker& worker, std::uint32_t channel) {
  if ((worker.channels_known & (1U << channel)) != 0) return;
  worker.channels_known |= 1U << channel;
  const ControlMessage message{channel};
  const int passed[] = {homes_[channel].event.get()};
  // Fails only if the worker is gone, which its death will tell.
  static_cast<void>(send_message(worker.control.get(), &message, sizeof message, passed));
}

// A slot that was reserved and is free again.
void PoolCore::unreserve(PoolWorker& worker, std::uint32_t slot) noexcept {
  if (worker.free_slot(slot)) wake_manager();
  if (worker.state == PoolWorker::State::dead) return;
  if (worker.outstanding == 0) {
    note_idle(worker);
  } else {
    --surplus_;
  }
}

// A queued call that was on its way. Lets go of the lock where it cannot be queued any more.
void PoolCore::put_back(Lock& lock, JobNode& node) noexcept {
  if (cancel_rest_) return drop(lock, node);
  if (broken_) {
    std::exception_ptr reason = broken_error();
    lock.unlock();
    JobAccess::make(node).fail(std::move(reason));
    return lock.lock();
  }
  if (node.limits != nullptr) {
    try {
      queue_limited(node);
    } catch (const std::bad_alloc&) {
      // It waits without a limit.
    }
  }
  queue_.push_front(JobAccess::make(node));
  ++queued_;
}

void PoolCore::drop(Lock& lock, JobNode& node) noexcept {
  lock.unlock();
  JobAccess::make(node).cancel();
  lock.lock();
}

// Workers that run dry tell the manager, as long as there is something that could be given to them.
void PoolCore::update_backlog() noexcept {
  const bool backlog = queued_ != 0 || surplus_ != 0;
  if (backlog == backlog_) return;
  backlog_ = backlog;
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    worker->region->header.backlog.store(backlog ? 1 : 0, std::memory_order_relaxed);
  }
}

}  // namespace siding::detail
