// SPDX-License-Identifier: MIT
#include <siding/detail/timeout_scope.hpp>

#include <utility>

namespace siding::detail {

TimeoutScope::TimeoutScope(TaskContext& context, Limit limit)
    : context_(context), requests_before_(context.cancel_requests()) {
  if (!limit.has_value()) return;
  Scheduler& scheduler = context.scheduler();
  scheduler.timers.arm(*this, saturating_add(scheduler.now(), limit.value()));
}

void TimeoutScope::due(Scheduler&) noexcept {
  expired_ = true;
  context_.request_cancel({});
}

bool TimeoutScope::leave() noexcept {
  if (std::exchange(left_, true)) return false;
  if (armed()) context_.scheduler().timers.disarm(*this);
  return expired_ && context_.uncancel() <= requests_before_;
}

}  // namespace siding::detail
