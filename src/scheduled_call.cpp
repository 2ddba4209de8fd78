// SPDX-License-Identifier: MIT
#include <siding/detail/error_report.hpp>
#include <siding/detail/scheduled_call.hpp>
#include <siding/error.hpp>

#include <utility>

namespace siding::detail {

ScheduledCall::~ScheduledCall() = default;

void ScheduledCall::schedule() {
  when_ = scheduler_.now();
  retain();
  scheduler_.ready.push(*this);
}

void ScheduledCall::schedule_at(std::optional<TimePoint> when) {
  when_ = when.value_or(TimePoint::max());
  scheduler_.timers.arm(*this, when_);
  retain();
}

void ScheduledCall::run() noexcept {
  if (state_ == State::waiting) {
    state_ = State::ran;
    const VariablesScope variables(std::move(variables_));
    try {
      call();
    } catch (...) {
      report_error(scheduler_.inbox, "a scheduled callback threw", std::current_exception(), {});
    }
    forget();
  }
  release();
}

void ScheduledCall::refuse() noexcept {
  if (state_ == State::waiting) state_ = State::cancelled;
  forget();
  release();
}

void ScheduledCall::cancel() noexcept {
  if (state_ != State::waiting) return;
  state_ = State::cancelled;
  forget();
  if (armed()) {
    scheduler_.timers.disarm(*this);
    release();  // the heap's; the ready queue keeps its own until the node has come by
  }
}

PostedCall::~PostedCall() = default;

void PostedCall::run() noexcept {
  const std::unique_ptr<PostedCall> self(this);
  const VariablesScope variables(std::move(variables_));
  try {
    call();
  } catch (...) {
    report_error(nullptr, "a callback of call_soon_threadsafe threw", std::current_exception(), {});
  }
}

void post_to_loop(Inbox& inbox, std::unique_ptr<PostedCall> call) {
  PostedCall* owned = call.release();
  if (inbox.push(*owned)) return;
  owned->refuse();
  throw LoopClosed("call_soon_threadsafe: this event loop is closed; make a new one");
}

}  // namespace siding::detail
