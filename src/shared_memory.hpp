// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <siding/detail/wire_stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace siding::detail {

/// Hears that no handle to some memory is left in this process.
class MemoryUser {
 public:
  /// Any thread, also with locks held.
  virtual void memory_gone(std::uint64_t id) noexcept = 0;

 protected:
  ~MemoryUser() = default;
};

/// The memory behind a SharedBuffer in one process: a sealed memfd, and where it is mapped.
/// Thread safety: any thread.
class SharedMemory {
 public:
  /// New, of zeros. Throws std::system_error.
  static std::shared_ptr<SharedMemory> make(std::size_t size);
  /// What another process has made: checks that nobody can cut it off, and that it has this size.
  /// `id` is the number it has there. Throws SerializationError, std::system_error.
  static std::shared_ptr<SharedMemory> open(FileDescriptor memory, std::size_t size, bool writable,
                                            std::uint64_t id);
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  /// Not given again in the process that gave it.
  std::uint64_t id() const noexcept { return id_; }
  bool writable() const noexcept { return writable_; }
  int descriptor() const noexcept { return memory_.get(); }

  /// `user` hears of the end, once.
  void add_user(const std::shared_ptr<MemoryUser>& user);

 private:
  SharedMemory(FileDescriptor memory, std::size_t size, bool writable, std::uint64_t id);

  const FileDescriptor memory_;
  const std::size_t size_;
  const std::uint64_t id_;
  const bool writable_;
  std::byte* data_ = nullptr;
  std::mutex mutex_;
  std::vector<std::weak_ptr<MemoryUser>> users_;  // guarded by mutex_
};

/// How a message names memory.
struct BufferName {
  static constexpr std::uint64_t empty = 0;  // of size 0
  static constexpr std::uint64_t known = 1;  // `number` is the program's id
  static constexpr std::uint64_t sent = 2;   // `number` counts the descriptors sent with a result
  std::uint64_t kind = empty;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
};

/// The ends of a call's messages, which know how memory gets to the other process.
class BufferExchange {
 public:
  /// Names the memory. Called in both passes over a message. Throws SerializationError.
  virtual BufferName name(const std::shared_ptr<SharedMemory>& memory, bool counts_only) = 0;
  /// Of a name that is not empty. Throws SerializationError, std::system_error.
  virtual std::shared_ptr<SharedMemory> find(const BufferName& name, bool writable) = 0;

 protected:
  ~BufferExchange() = default;
};

}  // namespace siding::detail
