// SPDX-License-Identifier: MIT
#include <siding/sleep.hpp>

namespace siding::detail {

SleepAwaiter::~SleepAwaiter() {
  // Only a frame that is destroyed with its loop waits still.
  if (armed()) {
    context_->scheduler().timers.disarm(*this);
  } else if (length_.has_value() || cancelled_) {
    while (waiting_) context_->scheduler().refuse_arrivals();  // it is in the ready queue
  }
}

void SleepAwaiter::start() {
  Scheduler& scheduler = context_->scheduler();
  if (length_.has_value()) {
    if (length_.value().count() <= 0) {
      scheduler.ready.push(*this);
    } else {
      scheduler.timers.arm(*this, saturating_add(scheduler.now(), length_.value()));
    }
  }
  waiting_ = true;
  context_->wait_for(*this);
}

void SleepAwaiter::describe(FixedText& text) const noexcept {
  const Scheduler& scheduler = context_->scheduler();
  if (armed()) {
    text.add("a timer, due in ").add(scheduler.timers.when(*this) - scheduler.now());
  } else {
    text.add(length_.has_value() || cancelled_ ? "its turn" : "a cancellation: it sleeps for ever");
  }
}

bool SleepAwaiter::cancel() noexcept {
  if (cancelled_) return false;
  const bool one_turn = length_.has_value() && length_.value().count() <= 0;
  if (!one_turn) {
    // A timer that is not armed any more has fired: the sleep is over.
    if (length_.has_value() && !armed()) return false;
    Scheduler& scheduler = context_->scheduler();
    if (armed()) scheduler.timers.disarm(*this);
    scheduler.ready.push(*this);
  }
  cancelled_ = true;
  return true;
}

}  // namespace siding::detail
