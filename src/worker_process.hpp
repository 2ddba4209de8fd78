// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <array>
#include <vector>

namespace siding::detail {

/// What a worker is given.
struct WorkerDescriptors {
  /// In the order in which they are passed. `has_output`: pipes for standard output and error are among
  /// them.
  WorkerDescriptors(std::vector<FileDescriptor> passed, bool has_output) noexcept;

  FileDescriptor region;
  FileDescriptor control;
  FileDescriptor setup;
  std::array<FileDescriptor, 2> output;
  std::vector<FileDescriptor> events;  // of the channels that there were when it was asked for
};

/// Is a worker from now on: makes the calls that are submitted to the region, one after another,
/// until it is told to retire. In a fresh child of the zygote.
[[noreturn]] void run_worker(WorkerDescriptors given) noexcept;

}  // namespace siding::detail
