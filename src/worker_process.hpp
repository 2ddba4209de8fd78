// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <vector>

namespace siding::detail {

/// Is a worker from now on: makes the calls that are submitted to the region, one after another,
/// until it is told to retire. In a fresh child of the zygote.
/// `events`: the eventfds of the channels that there were when it was asked for.
[[noreturn]] void run_worker(FileDescriptor region, FileDescriptor control,
                             std::vector<FileDescriptor> events) noexcept;

}  // namespace siding::detail
