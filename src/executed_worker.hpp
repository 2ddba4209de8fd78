// SPDX-License-Identifier: MIT
#pragma once

#include "zygote_protocol.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Workers that are not copies of the zygote, but the program executed anew (StartMethod::isolated).

namespace siding::detail {

/// What it takes to execute one, put together before the fork: the zygote of a program whose static
/// objects start threads has threads.
struct WorkerExecution {
  std::string image;
  std::string mark;
  std::vector<char*> environment;  // with the mark
  std::string error;               // what is told if it fails
};

/// In the zygote. `flags`: as in the request.
WorkerExecution prepare_execution(const Received& received, std::uint32_t flags);
/// In its child: calls only what may be called in the child of a process with threads. If it fails the
/// worker's region says why.
[[noreturn]] void execute_worker(const WorkerExecution& execution, const Received& received,
                                 int spin_count) noexcept;

/// Before main(): whether the variable of the environment says that this is such a worker.
bool executed_worker_wanted(std::string_view mark) noexcept;
/// Is the worker from now on; returns if none was wanted.
void serve_executed_worker() noexcept;

/// Counts spinning workers in this memory. It is never unmapped: the workers use it too.
void share_spin_count(int memory) noexcept;

}  // namespace siding::detail
