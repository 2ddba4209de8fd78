// SPDX-License-Identifier: MIT
// Shared buffers on their way to workers and back: the program's part. See buffer_link.hpp for what is
// said, and pool_core.hpp for who runs what.
#include "pool_buffers.hpp"

#include "buffer_link.hpp"
#include "pool_core.hpp"
#include "zygote_protocol.hpp"

#include <siding/error.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace siding::detail {

namespace {

static_assert(std::tuple_size_v<decltype(BufferLink::sent)> == slot_count);

// Far more than results that wait can bring; a worker that sends more writes nonsense.
constexpr std::size_t most_arrivals = 4096;

}  // namespace

std::uint64_t BufferDesk::take_request() noexcept {
  std::atomic<std::uint64_t>& wanted = region_->buffers.wanted;
  if (wanted.load(std::memory_order_relaxed) == 0) return 0;
  return wanted.exchange(0, std::memory_order_acq_rel);
}

bool BufferDesk::answer(std::uint64_t id, const SharedMemory* memory) noexcept {
  ControlMessage message;
  message.buffer = id;
  if (memory != nullptr) {
    const int passed[] = {memory->descriptor()};
    if (send_message(control_.get(), &message, sizeof message, passed, MSG_DONTWAIT)) return true;
  }
  // Without it too if it cannot be passed on, because too many are on their way (ETOOMANYREFS).
  if (send_message(control_.get(), &message, sizeof message, {}, MSG_DONTWAIT)) return true;
  return errno != EAGAIN;  // else the worker is gone, which its death will tell
}

void BufferDesk::make_room() noexcept {
  std::atomic<std::uint32_t>& asked = region_->buffers.read_socket;
  if (asked.load(std::memory_order_relaxed) == 0) return;
  asked.store(0, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  receive();
}

// With the desk's lock.
void BufferDesk::receive() noexcept {
  bool reset = false;
  for (;;) {
    BufferMessage message;
    Received received =
        receive_message(control_.get(), &message, sizeof message, MSG_DONTWAIT);
    if (received.size < 0 && errno == ECONNRESET && !reset) {
      // The worker ended with something unread. It is said once, and what it sent can still be read.
      reset = true;
      continue;
    }
    if (received.size <= 0) return;
    if (received.size != static_cast<long>(sizeof message) || received.count != 1) continue;
    if (arrivals_.size() == most_arrivals) continue;
    try {
      arrivals_.push_back({message.call, message.index, std::move(received.descriptors[0])});
    } catch (...) {
      // No memory: closed, and its result cannot be read.
    }
  }
}

FileDescriptor BufferDesk::take(std::uint64_t call, std::uint64_t index) {
  const std::lock_guard lock(mutex_);
  const auto find = [&] {
    return std::find_if(arrivals_.begin(), arrivals_.end(), [&](const Arrival& each) {
      return each.call == call && each.index == index;
    });
  };
  auto found = find();
  if (found == arrivals_.end()) {
    receive();
    found = find();
  }
  if (found == arrivals_.end()) {
    throw SerializationError(
        "a result names a shared buffer that did not arrive with it: the limit of descriptors "
        "(RLIMIT_NOFILE) of this process may be too low");
  }
  FileDescriptor memory = std::move(found->memory);
  arrivals_.erase(found);
  return memory;
}

void BufferDesk::end(std::uint64_t call) noexcept {
  const std::lock_guard lock(mutex_);
  receive();
  std::erase_if(arrivals_, [call](const Arrival& each) { return each.call == call; });
}

void BufferDesk::memory_gone(std::uint64_t id) noexcept {
  bool kept = false;
  for (std::atomic<std::uint64_t>& each : region_->buffers.kept) {
    std::uint64_t found = id;
    kept |= each.compare_exchange_strong(found, 0, std::memory_order_relaxed);
  }
  if (!kept) return;
  // seq_cst: pairs with the worker's fence between `asleep` and its look at what it keeps.
  full_fence();
  std::atomic<std::uint32_t>& asleep = region_->header.asleep;
  if (asleep.load(std::memory_order_relaxed) != 0 &&
      asleep.exchange(0, std::memory_order_acq_rel) != 0) {
    futex_wake(asleep);
  }
}

BufferName ArgumentBuffers::name(const std::shared_ptr<SharedMemory>& memory, bool) {
  if (std::find(held_.begin(), held_.end(), memory) == held_.end()) held_.push_back(memory);
  return {BufferName::known, memory->id(), memory->size()};
}

std::shared_ptr<SharedMemory> ArgumentBuffers::find(const BufferName&, bool) {
  throw_wire_error("a shared buffer was read while the arguments of a call were written");
}

BufferName ResultBuffers::name(const std::shared_ptr<SharedMemory>&, bool) {
  throw_wire_error("a shared buffer was written while a result was read");
}

// Mapped for writing in any case: the result may have handles of both kinds to one buffer.
std::shared_ptr<SharedMemory> ResultBuffers::find(const BufferName& name, bool) {
  if (name.kind == BufferName::known) {
    for (const std::shared_ptr<SharedMemory>& memory : held_) {
      if (memory->id() == name.number && memory->size() == name.size) return memory;
    }
    throw_wire_error("a message is damaged: it names a shared buffer that its call does not know");
  }
  for (const auto& [index, memory] : opened_) {
    if (index == name.number && memory->size() == name.size) return memory;
  }
  if (desk_ == nullptr) {
    throw_wire_error("a message is damaged: it names a shared buffer that was not sent");
  }
  std::shared_ptr<SharedMemory> memory = SharedMemory::open(
      desk_->take(call_, name.number), static_cast<std::size_t>(name.size), true, 0);
  opened_.emplace_back(name.number, memory);
  return memory;
}

// With the lock. The manager: a worker that asks has rung for it.
void PoolCore::serve_buffers() noexcept {
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    worker->buffers.make_room();
    const std::uint64_t id = worker->buffers.take_request();
    if (id == 0) continue;
    std::shared_ptr<SharedMemory> memory;
    for (const PoolWorker::Call& call : worker->calls) {
      for (const std::shared_ptr<SharedMemory>& each : call.buffers) {
        if (each->id() == id) memory = each;
      }
    }
    try {
      if (memory != nullptr) {
        memory->add_user(std::shared_ptr<MemoryUser>(worker, &worker->buffers));
      }
    } catch (...) {
      memory = nullptr;  // no memory: refused
    }
    if (!worker->buffers.answer(id, memory.get())) note_madness(*worker);
  }
}

}  // namespace siding::detail
