// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace siding::detail {

/// What a worker is given.
struct WorkerDescriptors {
  /// In the order in which they are passed. `flags`: of the request.
  WorkerDescriptors(std::vector<FileDescriptor> passed, std::uint32_t flags);

  FileDescriptor region;
  FileDescriptor control;
  FileDescriptor setup;
  std::array<FileDescriptor, 2> output;
  std::vector<FileDescriptor> extra;   // the program's own
  std::vector<FileDescriptor> events;  // of the channels that there were when it was asked for
};

/// Is a worker from now on: makes the calls that are submitted to the region, one after another,
/// until it is told to retire. In a fresh child of the zygote.
[[noreturn]] void run_worker(WorkerDescriptors given) noexcept;

}  // namespace siding::detail
