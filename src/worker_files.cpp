// SPDX-License-Identifier: MIT
#include "worker_files.hpp"

#include "alarm_limit.hpp"
#include "worker_region.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <system_error>
#include <utility>

namespace siding::detail {

namespace {

// Chosen: how long what functions have left in their files may take to be written at the end.
constexpr unsigned flush_seconds = 1;

}  // namespace

FileDescriptor out_of_the_way(FileDescriptor descriptor) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return descriptor;
  const auto numbers = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 4096));
  FileDescriptor high(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC,
                              std::max(0, numbers - 4 * static_cast<int>(channel_count))));
  return high ? std::move(high) : std::move(descriptor);
}

// fflush(nullptr) would wait for the lock of every file, also of one that a thread reads from.
void place_descriptors(const std::vector<FileDescriptor>& descriptors, const std::vector<int>& numbers) {
  for (std::size_t i = 0; i < std::min(descriptors.size(), numbers.size()); ++i) {
    if (::dup3(descriptors[i].get(), numbers[i], O_CLOEXEC) < 0) {
      throw std::system_error(errno, std::system_category(),
                              fmt::format("giving it the program's descriptor {}", numbers[i]));
    }
  }
}

void flush_output() noexcept {
  if (::ftrylockfile(stdout) != 0) return;
  ::fflush_unlocked(stdout);
  ::funlockfile(stdout);
}

void flush_everything() noexcept {
  limit_by_alarm(flush_seconds);  // for the same reason
  std::fflush(nullptr);
}

OutputMarks::OutputMarks(std::array<FileDescriptor, 2> pipes, std::uint64_t magic) : magic_(magic) {
  constexpr std::array numbers = {STDOUT_FILENO, STDERR_FILENO};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    ::dup2(pipes[i].get(), numbers[i]);
    pipes_[i] = out_of_the_way(std::move(pipes[i]));
  }
}

void OutputMarks::put(std::uint64_t call) noexcept {
  flush_output();
  const OutputMark mark = make_output_mark(magic_, call);
  for (const FileDescriptor& pipe : pipes_) {
    // Short enough to go whole; fails only if a function has closed it.
    while (::write(pipe.get(), mark.data(), mark.size()) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace siding::detail
