// SPDX-License-Identifier: MIT
#include "debug_mode.hpp"

#include "task_dump.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/detail/future_state.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/error_report.hpp>
#include <siding/task.hpp>

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace siding::detail {

bool debug_in_environment() noexcept {
  const char* value = std::getenv("SIDING_DEBUG");
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

void StepRecord::begin() noexcept { task_ = AnyFuture(); }

void StepRecord::note(TaskContext& task, std::coroutine_handle<> from) noexcept {
  if (task_.valid()) return;  // an eager task, inside the step of the one that creates it
  FutureState& state = task.future_state();
  state.retain();
  task_ = FutureAccess::adopt_any(&state);
  place_ = PromiseBase::of(from).place;
}

void StepRecord::report(Scheduler& scheduler, std::chrono::nanoseconds length,
                        const std::type_info& node) noexcept {
  try {
    const double seconds = std::chrono::duration<double>(length).count();
    const std::string what =
        !task_.valid() ? fmt::format("a callback ({})", type_name(node))
        : is_in_library(place_)
            ? fmt::format("task '{}'", task_.name())
            : fmt::format("task '{}', going on in {},", task_.name(), place_text(place_));
    scheduler.report({fmt::format("{} held the loop for {:.3f} s; have what blocks or computes done "
                                  "by to_thread()",
                                  what, seconds),
                      nullptr, task_});
  } catch (...) {
    scheduler.report({"a step held the loop for too long, and there is no memory to say more",
                      nullptr, AnyFuture()});
  }
}

void note_never_awaited(const PromiseBase& promise) noexcept {
  const bool debug =
      current_scheduler != nullptr ? current_scheduler->debug : debug_in_environment();
  // What the library makes of a task that was given to it holds that task, which tells of itself.
  if (!debug || is_in_library(promise.place)) return;
  try {
    const std::string message = fmt::format(
        "a task of {} was destroyed without having run: it was not awaited, or what it was given to "
        "was refused, or cancelled first",
        place_text(promise.place));
    report_error(nullptr, message, nullptr, {});
  } catch (...) {
    report_error(nullptr, "a task was destroyed without having run", nullptr, {});
  }
}

}  // namespace siding::detail
