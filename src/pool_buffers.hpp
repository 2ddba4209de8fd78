// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"
#include "shared_memory.hpp"
#include "worker_region.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

// The program's ends of what buffer_link.hpp describes.

namespace siding::detail {

/// What a call names is held from when it is written into a slot until its result was read.
using HeldBuffers = std::vector<std::shared_ptr<SharedMemory>>;

/// One worker's. The region and the socket are its PoolWorker's, as is the object.
class BufferDesk final : public MemoryUser {
 public:
  BufferDesk(const Region& region, const FileDescriptor& control) noexcept
      : region_(region), control_(control) {}

  /// The id that the worker waits for; 0: none. The manager.
  std::uint64_t take_request() noexcept;
  /// Sends it; null: there is no such memory. False: the socket takes nothing, which a worker that
  /// waits for the answer cannot bring about.
  bool answer(std::uint64_t id, const SharedMemory* memory) noexcept;
  /// Reads what the worker has sent, if it has said that the socket is full. The manager.
  void make_room() noexcept;

  /// What came with the result of a call. Any thread. Throws SerializationError.
  FileDescriptor take(std::uint64_t call, std::uint64_t index);
  /// Closes the rest of what came with it. Any thread.
  void end(std::uint64_t call) noexcept;

  void memory_gone(std::uint64_t id) noexcept override;

 private:
  struct Arrival {
    std::uint64_t call;
    std::uint64_t index;
    FileDescriptor memory;
  };

  void receive() noexcept;

  const Region& region_;
  const FileDescriptor& control_;
  std::mutex mutex_;
  std::vector<Arrival> arrivals_;  // guarded by mutex_
};

/// Notes what the arguments of a call name.
class ArgumentBuffers final : public BufferExchange {
 public:
  BufferName name(const std::shared_ptr<SharedMemory>& memory, bool counts_only) override;
  std::shared_ptr<SharedMemory> find(const BufferName& name, bool writable) override;
  HeldBuffers take() noexcept { return std::move(held_); }

 private:
  HeldBuffers held_;
};

/// Finds what a result names: among what its call named, and what the worker has sent with it.
class ResultBuffers final : public BufferExchange {
 public:
  /// `desk`: null if the worker has sent nothing.
  ResultBuffers(HeldBuffers held, BufferDesk* desk, std::uint64_t call) noexcept
      : held_(std::move(held)), desk_(desk), call_(call) {}
  ResultBuffers(const ResultBuffers&) = delete;
  ResultBuffers& operator=(const ResultBuffers&) = delete;
  ~ResultBuffers() {
    if (desk_ != nullptr) desk_->end(call_);
  }

  BufferName name(const std::shared_ptr<SharedMemory>& memory, bool counts_only) override;
  std::shared_ptr<SharedMemory> find(const BufferName& name, bool writable) override;

 private:
  const HeldBuffers held_;
  BufferDesk* const desk_;
  const std::uint64_t call_;
  std::vector<std::pair<std::uint64_t, std::shared_ptr<SharedMemory>>> opened_;
};

}  // namespace siding::detail
