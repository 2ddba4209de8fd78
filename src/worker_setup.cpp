// SPDX-License-Identifier: MIT
#include "worker_setup.hpp"

#include "sandbox.hpp"
#include "worker_region.hpp"

#include <siding/wire.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <span>
#include <system_error>
#include <vector>

namespace siding::detail {

namespace {

[[noreturn]] void throw_setup_error(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

void set_limit(int resource, std::uint64_t value) {
  const rlimit limit{value, value};
  // The first parameter is an enumeration in C++.
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) {
    throw_setup_error(fmt::format("setting its resource limit {} to {}", resource, value));
  }
}

}  // namespace

WorkerSetup setup_of(const ProcessPoolOptions& options) {
  WorkerSetup setup;
  setup.relays_output = options.output == Output::relay;
  setup.max_rss = options.max_rss;
  setup.max_memory = options.max_memory;
  setup.resource_limits = options.resource_limits;
  setup.cpus = options.cpus;
  setup.nice = options.nice;
  setup.working_directory = options.working_directory;
  setup.pass_descriptors = options.pass_descriptors;
  setup.environment = options.environment;
  setup.sandbox = options.sandbox;
  return setup;
}

FileDescriptor make_setup_memory(const WorkerSetup& setup) {
  const std::vector<std::byte> bytes = to_wire(setup);
  FileDescriptor memory(::memfd_create("siding-setup", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(bytes.size())) != 0 ||
      ::pwrite(memory.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    throw_setup_error("writing down how worker processes are set up");
  }
  return memory;
}

WorkerSetup read_setup(int memory) {
  struct stat status {};
  if (::fstat(memory, &status) != 0) throw_setup_error("looking at how it is set up");
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  if (::pread(memory, bytes.data(), bytes.size(), 0) != status.st_size) {
    throw_setup_error("reading how it is set up");
  }
  return from_wire<WorkerSetup>(bytes);
}

void apply_setup(const WorkerSetup& setup, std::size_t shared_addresses) {
  for (const auto& [name, value] : setup.environment) {
    const int failed = value.has_value() ? ::setenv(name.c_str(), value->c_str(), 1)
                                         : ::unsetenv(name.c_str());
    if (failed != 0) throw_setup_error(fmt::format("setting its environment variable {}", name));
  }
  if (!setup.working_directory.empty() && ::chdir(setup.working_directory.c_str()) != 0) {
    throw_setup_error(fmt::format("changing to its working directory {}", setup.working_directory));
  }
  if (!setup.cpus.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : setup.cpus) CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) {
      throw_setup_error("confining it to the CPUs that it was given");
    }
  }
  if (setup.nice != 0) {
    errno = 0;
    if (::nice(setup.nice) == -1 && errno != 0) {
      throw_setup_error(fmt::format("changing its niceness by {}", setup.nice));
    }
  }
  if (setup.max_memory != 0) set_limit(RLIMIT_DATA, setup.max_memory);
  for (const ResourceLimit& limit : setup.resource_limits) {
    std::uint64_t value = limit.value;
    if (limit.resource == RLIMIT_AS && value <= RLIM_INFINITY - shared_addresses) {
      value += shared_addresses;
    }
    set_limit(limit.resource, value);
  }
  if (setup.sandbox.has_value()) apply_sandbox(*setup.sandbox);  // after what needs rights
}

std::uint64_t private_memory() noexcept {
  const FileDescriptor file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  if (!file || ::read(file.get(), text.data(), text.size() - 1) <= 0) return 0;
  char* rest = nullptr;
  std::strtoull(text.data(), &rest, 10);  // all of its addresses
  const std::uint64_t resident = std::strtoull(rest, &rest, 10);
  const std::uint64_t shared = std::strtoull(rest, nullptr, 10);
  return (resident - std::min(resident, shared)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace siding::detail
