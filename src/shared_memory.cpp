// SPDX-License-Identifier: MIT
#include "shared_memory.hpp"

#include "worker_region.hpp"

#include <siding/error.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

namespace siding::detail {

namespace {

// relaxed: nothing but different numbers is asked of it.
constinit std::atomic<std::uint64_t> next_memory{1};

// A file that is larger than this limit would cost the program a SIGXFSZ.
void check_file_limit(std::size_t size) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      size <= limit.rlim_cur) {
    return;
  }
  throw std::system_error(
      EFBIG, std::system_category(),
      fmt::format("a shared buffer counts as a file: {} bytes are more than the limit of file sizes "
                  "(RLIMIT_FSIZE, ulimit -f)",
                  size));
}

}  // namespace

SharedMemory::SharedMemory(FileDescriptor memory, std::size_t size, bool writable, std::uint64_t id)
    : memory_(std::move(memory)), size_(size), id_(id), writable_(writable) {
  const int access = writable_ ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = ::mmap(nullptr, size_, access, MAP_SHARED, memory_.get(), 0);
  if (data == MAP_FAILED) {
    throw std::system_error(errno, std::system_category(),
                            fmt::format("mapping a shared buffer of {} bytes", size_));
  }
  data_ = static_cast<std::byte*>(data);
}

std::shared_ptr<SharedMemory> SharedMemory::make(std::size_t size) {
  check_file_limit(size);
  return std::shared_ptr<SharedMemory>(
      new SharedMemory(make_sealed_memory("siding-buffer", size), size, true,
                       next_memory.fetch_add(1, std::memory_order_relaxed)));
}

std::shared_ptr<SharedMemory> SharedMemory::open(FileDescriptor memory, std::size_t size,
                                                 bool writable, std::uint64_t id) {
  constexpr int needed = F_SEAL_SHRINK | F_SEAL_GROW;
  struct stat status {};
  const int sealed = ::fcntl(memory.get(), F_GET_SEALS);
  if (sealed < 0 || (sealed & needed) != needed || ::fstat(memory.get(), &status) != 0 ||
      static_cast<std::size_t>(status.st_size) != size) {
    throw SerializationError("a message is damaged: what was sent is no shared buffer of its size");
  }
  if (id == 0) id = next_memory.fetch_add(1, std::memory_order_relaxed);
  return std::shared_ptr<SharedMemory>(new SharedMemory(std::move(memory), size, writable, id));
}

SharedMemory::~SharedMemory() {
  for (const std::weak_ptr<MemoryUser>& each : users_) {
    if (const std::shared_ptr<MemoryUser> user = each.lock()) user->memory_gone(id_);
  }
  ::munmap(data_, size_);
}

void SharedMemory::add_user(const std::shared_ptr<MemoryUser>& user) {
  const std::lock_guard lock(mutex_);
  std::erase_if(users_, [&user](const auto& each) {
    const std::shared_ptr<MemoryUser> other = each.lock();
    return other == nullptr || other == user;
  });
  users_.push_back(user);
}

}  // namespace siding::detail
