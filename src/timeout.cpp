// SPDX-License-Identifier: MIT
#include <siding/timeout.hpp>

#include "limit_text.hpp"

#include <fmt/format.h>

#include <utility>

namespace siding {

Timeout::Entered::Entered(Timeout& timeout, detail::TaskContext& context)
    : timeout_(timeout), scope_(context, timeout.enter(context.scheduler())) {
  timeout.scope_ = &scope_;
}

bool Timeout::Entered::leave() noexcept {
  if (std::exchange(timeout_.scope_, nullptr) == nullptr) return false;
  timeout_.state_ = scope_.expired() ? State::expired : State::finished;
  return scope_.leave();
}

std::optional<TimePoint> Timeout::enter(const detail::Scheduler& scheduler) {
  if (state_ != State::created) {
    throw InvalidStateError("Timeout::run: this scope was entered before; make one for each stretch");
  }
  state_ = State::active;
  if (!deadline_.has_value()) deadline_ = detail::deadline_after(scheduler, limit_);
  return deadline_;
}

void Timeout::check_active(const char* what) const {
  const char* state = nullptr;
  if (state_ == State::created) state = "has not been entered";
  if (state_ == State::finished) state = "has ended";
  if (state_ == State::expired) state = "has ended because its deadline passed";
  if (scope_ != nullptr && scope_->expired()) state = "is being left because its deadline has passed";
  if (state == nullptr) return;
  throw InvalidStateError(
      fmt::format("{}: the deadline of a scope that {} cannot be moved", what, state));
}

void Timeout::reschedule(Limit from_now) {
  check_active("Timeout::reschedule");
  move_to(detail::deadline_after(detail::require_scheduler("Timeout::reschedule"), from_now));
}

void Timeout::reschedule_at(TimePoint deadline) {
  check_active("Timeout::reschedule_at");
  move_to(deadline);
}

void Timeout::move_to(std::optional<TimePoint> deadline) {
  deadline_ = deadline;
  limit_ = Limit();
  scope_->reschedule(deadline);
}

void Timeout::throw_timed_out() const {
  if (!limit_.has_value()) {
    throw TimeoutError("timeout: the body has not ended by its deadline; allow it more, or catch "
                       "TimeoutError");
  }
  throw TimeoutError(fmt::format(
      "timeout: the body has not ended within the limit of {}; allow it more, or catch TimeoutError",
      detail::text_of(limit_.value())));
}

}  // namespace siding
