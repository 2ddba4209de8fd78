// SPDX-License-Identifier: MIT
#include <siding/detail/timeout_scope.hpp>

#include <utility>

namespace siding::detail {

TimeoutScope::TimeoutScope(TaskContext& context, std::optional<TimePoint> deadline)
    : context_(context), requests_before_(context.cancel_requests()) {
  if (deadline.has_value()) context.scheduler().timers.arm(*this, deadline.value());
}

void TimeoutScope::due(Scheduler&) noexcept {
  expired_ = true;
  context_.request_cancel({});
}

void TimeoutScope::reschedule(std::optional<TimePoint> deadline) noexcept {
  TimerHeap& timers = context_.scheduler().timers;
  if (armed()) timers.disarm(*this);
  if (deadline.has_value()) timers.arm(*this, deadline.value());
}

bool TimeoutScope::leave() noexcept {
  if (std::exchange(left_, true)) return false;
  if (armed()) context_.scheduler().timers.disarm(*this);
  return expired_ && context_.uncancel() <= requests_before_;
}

}  // namespace siding::detail
