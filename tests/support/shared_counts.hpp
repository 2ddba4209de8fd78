// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <string>

namespace siding_test {

/// Names counts in an argument, also for another process.
struct CountsKey {
  int process;
  int descriptor;
  unsigned long size;
};

using Count = std::atomic<int>;
static_assert(Count::is_always_lock_free);

/// Counts that calls in other processes raise, and that survive these processes. Made by a test.
class SharedCounts {
 public:
  explicit SharedCounts(std::size_t size)
      : descriptor_(::memfd_create("counts", MFD_CLOEXEC)), size_(size) {
    REQUIRE(::ftruncate(descriptor_, static_cast<off_t>(size * sizeof(Count))) == 0);
    counts_ = map(descriptor_, size);
    REQUIRE(counts_ != nullptr);
  }
  ~SharedCounts() {
    ::munmap(counts_, size_ * sizeof(Count));
    ::close(descriptor_);
  }
  SharedCounts(const SharedCounts&) = delete;
  SharedCounts& operator=(const SharedCounts&) = delete;

  CountsKey key() const { return {::getpid(), descriptor_, size_}; }
  int operator[](std::size_t i) const { return counts_[i].load(); }

  static Count* map(int descriptor, std::size_t size) {
    void* memory = ::mmap(nullptr, size * sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED,
                          descriptor, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<Count*>(memory);
  }

 private:
  int descriptor_;
  std::size_t size_;
  Count* counts_ = nullptr;
};

/// The counts of a test as a worker of any process sees them. Mapped for each call: workers live as long
/// as pools.
class MappedCounts {
 public:
  explicit MappedCounts(CountsKey key) : size_(key.size) {
    const std::string path =
        "/proc/" + std::to_string(key.process) + "/fd/" + std::to_string(key.descriptor);
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    counts_ = SharedCounts::map(descriptor, size_);
    ::close(descriptor);
  }
  ~MappedCounts() { ::munmap(counts_, size_ * sizeof(Count)); }
  MappedCounts(const MappedCounts&) = delete;
  MappedCounts& operator=(const MappedCounts&) = delete;

  Count& operator[](std::size_t i) const { return counts_[i]; }

 private:
  std::size_t size_;
  Count* counts_;
};

/// Raises a count. A worker, of any process.
inline int raise_count(CountsKey key, std::size_t place) {
  const MappedCounts counts(key);
  return counts[place].fetch_add(1) + 1;
}

}  // namespace siding_test
