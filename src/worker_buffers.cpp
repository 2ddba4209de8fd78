// SPDX-License-Identifier: MIT
#include "worker_buffers.hpp"

#include "zygote_protocol.hpp"

#include <siding/error.hpp>

#include <fmt/format.h>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace siding::detail {

namespace {

// Chosen: how often a worker looks whether the program has read what it sent.
constexpr std::chrono::microseconds socket_pause{100};

}  // namespace

void WorkerBuffers::begin_call(std::uint64_t call, std::size_t slot) noexcept {
  call_ = call;
  slot_ = slot;
  // Published with the slot.
  link_.sent[slot_].store(0, std::memory_order_relaxed);
}

void WorkerBuffers::end_call() noexcept {
  arguments_.clear();
  sent_.clear();
  if (kept_count_ != 0) forget_deleted();
}

void WorkerBuffers::arrived(std::uint64_t id, FileDescriptor memory) noexcept {
  answered_ = id;
  answer_ = std::move(memory);
}

void WorkerBuffers::forget_deleted() noexcept {
  if (kept_count_ == 0) return;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (kept_[i].memory == nullptr || link_.kept[i].load(std::memory_order_relaxed) != 0) continue;
    kept_[i] = Kept();
    --kept_count_;
  }
}

std::shared_ptr<SharedMemory> WorkerBuffers::find(const BufferName& name, bool writable) {
  ++now_;
  for (Kept& each : kept_) {
    if (each.memory == nullptr || each.memory->id() != name.number || each.writable != writable) {
      continue;
    }
    each.used = now_;
    arguments_.push_back(each.memory);
    return each.memory;
  }
  for (const std::shared_ptr<SharedMemory>& each : arguments_) {
    // It made room for others that the call names.
    if (each->id() == name.number && each->writable() == writable) return each;
  }
  std::shared_ptr<SharedMemory> memory = SharedMemory::open(
      ask(name.number), static_cast<std::size_t>(name.size), writable, name.number);
  arguments_.push_back(memory);
  keep(memory, writable);
  return memory;
}

FileDescriptor WorkerBuffers::ask(std::uint64_t id) {
  answered_ = 0;
  // release: the ring that follows is what the program hears.
  link_.wanted.store(id, std::memory_order_release);
  host_.ring();
  while (answered_ != id) host_.hear_program();
  if (!answer_) {
    throw SerializationError(
        "a shared buffer could not be sent to the worker: its call has ended, or there is no "
        "descriptor left in one of the two processes (RLIMIT_NOFILE)");
  }
  return std::move(answer_);
}

// The one that was not used for the longest time makes room. That is no end of its use: calls that need
// it again ask again.
void WorkerBuffers::keep(const std::shared_ptr<SharedMemory>& memory, bool writable) noexcept {
  forget_deleted();
  const auto oldest = std::min_element(kept_.begin(), kept_.end(), [](const Kept& a, const Kept& b) {
    return a.used < b.used;
  });
  if (oldest->memory == nullptr) ++kept_count_;
  // The call holds it, and with it the program: it is not deleted before this is written.
  link_.kept[static_cast<std::size_t>(oldest - kept_.begin())].store(memory->id(),
                                                                     std::memory_order_relaxed);
  *oldest = Kept{memory, writable, now_};
}

BufferName WorkerBuffers::name(const std::shared_ptr<SharedMemory>& memory, bool counts_only) {
  const BufferName argument{BufferName::known, memory->id(), memory->size()};
  if (std::find(arguments_.begin(), arguments_.end(), memory) != arguments_.end()) return argument;
  const auto found = std::find(sent_.begin(), sent_.end(), memory);
  const auto index = static_cast<std::uint64_t>(found - sent_.begin());
  if (found == sent_.end() && !counts_only) {
    sent_.push_back(memory);
    send(*memory, index);
  }
  return {BufferName::sent, index, memory->size()};
}

void WorkerBuffers::send(const SharedMemory& memory, std::uint64_t index) {
  link_.sent[slot_].store(static_cast<std::uint32_t>(index + 1), std::memory_order_relaxed);
  const BufferMessage message{call_, index};
  const int passed[] = {memory.descriptor()};
  while (!send_message(host_.socket(), &message, sizeof message, passed, MSG_DONTWAIT)) {
    if (errno == EPIPE || errno == ECONNRESET) host_.lost();
    if (errno != EAGAIN && errno != ETOOMANYREFS && errno != ENOBUFS) {
      throw SerializationError(fmt::format("a shared buffer could not be sent to the program: {}",
                                           std::generic_category().message(errno)));
    }
    // Whoever awaits the results before this one has not read them.
    link_.read_socket.store(1, std::memory_order_relaxed);
    host_.ring();
    std::this_thread::sleep_for(socket_pause);
  }
}

}  // namespace siding::detail
