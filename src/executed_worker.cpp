// SPDX-License-Identifier: MIT
#include "executed_worker.hpp"

#include "spin.hpp"
#include "worker_process.hpp"
#include "worker_region.hpp"
#include "zygote.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <utility>

namespace siding::detail {

namespace {

// What this process was given; set before main().
struct ExecutedWorker {
  pid_t zygote = -1;
  int descriptors = 0;
  std::uint32_t flags = 0;
};
constinit ExecutedWorker executed_worker;

bool read_number(std::string_view& text, int& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(',')) text.remove_prefix(1);
  return error == std::errc();
}

}  // namespace

void share_spin_count(int memory) noexcept {
  void* page = ::mmap(nullptr, sizeof(std::atomic<std::uint32_t>), PROT_READ | PROT_WRITE,
                      MAP_SHARED, memory, 0);
  if (page != MAP_FAILED) SpinCount::share(*static_cast<std::atomic<std::uint32_t>*>(page));
}

WorkerExecution prepare_execution(const Received& received, std::uint32_t flags) {
  WorkerExecution execution;
  try {
    execution.image = program_image();
  } catch (const std::exception& error) {
    execution.error = error.what();
  }
  execution.mark = fmt::format("{}=worker,{},{},{}", zygote_variable, ::getpid(), received.count,
                               flags);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    execution.environment.push_back(*entry);
  }
  execution.environment.push_back(execution.mark.data());
  execution.environment.push_back(nullptr);
  if (execution.error.empty()) {
    execution.error = fmt::format("{} could not be executed again", execution.image);
  }
  return execution;
}

void execute_worker(const WorkerExecution& execution, const Received& received,
                    int spin_count) noexcept {
  const auto count = static_cast<int>(received.count);
  // First out of the way of the numbers that they shall get, where they are not closed at the exec.
  int moved[max_passed + 1];
  for (int i = 0; i <= count; ++i) {
    const int from = i < count ? received.descriptors[i].get() : spin_count;
    moved[i] = ::fcntl(from, F_DUPFD_CLOEXEC, first_descriptor + count + 1);
  }
  for (int i = 0; i <= count; ++i) ::dup2(moved[i], first_descriptor + i);
  char* const arguments[] = {program_invocation_name, nullptr};
  ::execve(execution.image.c_str(), arguments, execution.environment.data());
  static_cast<void>(!::pwrite(first_descriptor, execution.error.data(),
                              std::min(execution.error.size(), sizeof(RegionHeader::start_error) - 1),
                              offsetof(RegionLayout, header) + offsetof(RegionHeader, start_error)));
  ::_exit(cannot_start);
}

bool executed_worker_wanted(std::string_view text) noexcept {
  constexpr std::string_view word = "worker,";
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  ExecutedWorker found;
  int flags = 0;
  if (!read_number(text, found.zygote) || !read_number(text, found.descriptors) ||
      !read_number(text, flags) || !text.empty() || found.descriptors < 3 ||
      found.descriptors > static_cast<int>(max_passed)) {
    return false;
  }
  if ((::fcntl(first_descriptor, F_GET_SEALS) & F_SEAL_SHRINK) == 0) return false;
  found.flags = static_cast<std::uint32_t>(flags);
  // The last one is that of the spin count.
  for (int i = 0; i <= found.descriptors; ++i) ::fcntl(first_descriptor + i, F_SETFD, FD_CLOEXEC);
  executed_worker = found;
  return true;
}

void serve_executed_worker() noexcept {
  if (executed_worker.descriptors == 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != executed_worker.zygote) ::_exit(0);
  const int count = executed_worker.descriptors;
  std::vector<FileDescriptor> given;
  for (int i = 0; i < count; ++i) given.emplace_back(first_descriptor + i);
  share_spin_count(first_descriptor + count);
  ::close(first_descriptor + count);
  SpinCount::forked();
  std::fflush(nullptr);  // what the constructors of static objects wrote
  run_worker(WorkerDescriptors(std::move(given), executed_worker.flags));
}

}  // namespace siding::detail
