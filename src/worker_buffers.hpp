// SPDX-License-Identifier: MIT
#pragma once

#include "buffer_link.hpp"
#include "file_descriptor.hpp"
#include "shared_memory.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

// A worker's end of what buffer_link.hpp describes.

namespace siding::detail {

/// How a worker talks with its program.
class BufferHost {
 public:
  /// Has the program look at the BufferLink.
  virtual void ring() = 0;
  /// Waits for a message of the program; if it is about a buffer, it comes to WorkerBuffers::arrived.
  virtual void hear_program() = 0;
  /// The socket on which results are sent.
  virtual int socket() const noexcept = 0;
  /// This process has no way to the program any more.
  [[noreturn]] virtual void lost() noexcept = 0;

 protected:
  ~BufferHost() = default;
};

/// Thread safety: the worker's thread.
class WorkerBuffers final : public BufferExchange {
 public:
  WorkerBuffers(BufferLink& link, BufferHost& host) noexcept : link_(link), host_(host) {}

  void begin_call(std::uint64_t call, std::size_t slot) noexcept;
  void end_call() noexcept;
  /// Without a descriptor: the program has no such buffer.
  void arrived(std::uint64_t id, FileDescriptor memory) noexcept;
  /// Lets go of what the program has deleted from the list of what is kept.
  void forget_deleted() noexcept;

  BufferName name(const std::shared_ptr<SharedMemory>& memory, bool counts_only) override;
  std::shared_ptr<SharedMemory> find(const BufferName& name, bool writable) override;

 private:
  struct Kept {
    std::shared_ptr<SharedMemory> memory;  // null: nothing
    bool writable = false;
    std::uint64_t used = 0;  // when, in calls of find()
  };

  FileDescriptor ask(std::uint64_t id);
  void keep(const std::shared_ptr<SharedMemory>& memory, bool writable) noexcept;
  void send(const SharedMemory& memory, std::uint64_t index);

  BufferLink& link_;
  BufferHost& host_;
  std::array<Kept, kept_buffers> kept_;
  std::size_t kept_count_ = 0;
  std::uint64_t now_ = 0;
  std::uint64_t answered_ = 0;  // the last id of an answer
  FileDescriptor answer_;
  // Of the call that runs:
  std::uint64_t call_ = 0;
  std::size_t slot_ = 0;
  std::vector<std::shared_ptr<SharedMemory>> arguments_;
  std::vector<std::shared_ptr<SharedMemory>> sent_;
};

}  // namespace siding::detail
