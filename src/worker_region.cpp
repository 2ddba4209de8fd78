// SPDX-License-Identifier: MIT
#include "worker_region.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace siding::detail {

namespace {

constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Mapping::Mapping(int descriptor, std::size_t size) : size_(size) {
  if (size == 0) return;
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) {
    throw std::system_error(errno, std::system_category(), "mapping memory shared with a worker");
  }
  data_ = static_cast<std::byte*>(data);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  const Mapping old(std::move(*this));
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

FileDescriptor make_sealed_memory(const char* name, std::size_t size) {
  FileDescriptor memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, seals) != 0) {
    throw std::system_error(errno, std::system_category(), "making memory to share with a worker");
  }
  return memory;
}

Region::Region(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    throw std::system_error(errno, std::system_category(), "looking at a worker's memory");
  }
  *this = Region(descriptor, (static_cast<std::size_t>(status.st_size) - arenas_begin) / 2);
}

Region Region::create(FileDescriptor& memory) {
  std::size_t size = largest_arena;
  // A file that is larger than this limit would cost the program a SIGXFSZ.
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    const std::size_t least = arenas_begin + 2 * smallest_arena;
    if (limit.rlim_cur < least) {
      throw std::system_error(
          EFBIG, std::system_category(),
          fmt::format("memory to share with a worker process counts as a file: raise the limit of "
                      "file sizes (RLIMIT_FSIZE, ulimit -f) to {} bytes",
                      least));
    }
    size = std::min(size, (static_cast<std::size_t>(limit.rlim_cur) - arenas_begin) / 2 / page * page);
  }
  for (;;) {
    try {
      memory = make_sealed_memory("siding-worker", arenas_begin + 2 * size);
      return Region(memory.get(), size);
    } catch (const std::system_error&) {
      // ENOMEM: there is a limit to addresses (RLIMIT_AS). Fewer will do.
      size = size / 2 / page * page;
      if (size < smallest_arena) throw;
    }
  }
}

void Region::release(std::byte* arena, std::size_t offset, std::size_t size) noexcept {
  const std::size_t begin = (std::max(offset, kept_arena) + page - 1) / page * page;
  const std::size_t end = (offset + size) / page * page;
  if (begin < end) ::madvise(arena + begin, end - begin, MADV_REMOVE);
}

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, nullptr, nullptr, 0);
}

void futex_wake(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, std::numeric_limits<int>::max(), nullptr, nullptr, 0);
}

}  // namespace siding::detail
