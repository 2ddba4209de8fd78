// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/task_context.hpp>
#include <siding/future.hpp>

#include <chrono>
#include <string>
#include <typeinfo>

namespace siding::detail {

/// Whether SIDING_DEBUG asks for debug mode.
bool debug_in_environment() noexcept;

/// What a loop in debug mode knows of the step that runs: loop thread.
class StepRecord {
 public:
  void begin() noexcept;
  /// A task takes the step, from `from` on.
  void note(TaskContext& task, std::coroutine_handle<> from) noexcept;
  /// Tells the loop's exception handler that the step was slow. `node` is what ran, if it was no task.
  void report(Scheduler& scheduler, std::chrono::nanoseconds length,
              const std::type_info& node) noexcept;

 private:
  AnyFuture task_;
  Place place_;
};

}  // namespace siding::detail
