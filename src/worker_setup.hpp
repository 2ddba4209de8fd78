// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <siding/process_pool_options.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace siding::detail {

/// What the workers of a pool are made like: written down by the program once for the pool, read by each
/// worker before its first call.
struct WorkerSetup {
  bool relays_output = false;
  std::uint64_t max_rss = 0;
  std::uint64_t max_memory = 0;
  std::vector<ResourceLimit> resource_limits;
  std::vector<int> cpus;
  int nice = 0;
  std::string working_directory;
  std::vector<int> pass_descriptors;
  std::map<std::string, std::optional<std::string>> environment;
  std::optional<Sandbox> sandbox;
};

WorkerSetup setup_of(const ProcessPoolOptions& options);
/// A sealed memfd that holds it. Throws std::system_error.
FileDescriptor make_setup_memory(const WorkerSetup& setup);
/// Throws std::system_error, SerializationError.
WorkerSetup read_setup(int memory);
/// In the worker: takes effect for this process. `shared_addresses`: of the memory that it shares with the
/// program. Throws std::system_error with what could not be done.
void apply_setup(const WorkerSetup& setup, std::size_t shared_addresses);
/// In the worker: the memory that it alone uses, in bytes; 0 where /proc is not there.
std::uint64_t private_memory() noexcept;

}  // namespace siding::detail
