// SPDX-License-Identifier: MIT
#include <siding/as_completed.hpp>

#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

namespace siding::detail {

void throw_step_taken() {
  throw InvalidStateError(
      "this step of as_completed() was taken before, or moved from: each gives one future");
}

void throw_steps_late() {
  throw TimeoutError(
      "no further future was done within the limit of as_completed(); they go on: cancel() those "
      "that are not wanted any more");
}

CompletionSteps::CompletionSteps(std::size_t futures, Limit timeout)
    : until_(deadline(current_scheduler != nullptr ? current_scheduler->now() : Clock::now(),
                      timeout)),
      completions_(futures) {}

std::size_t CompletionSteps::next_place() {
  std::optional<std::size_t> place = completions_.pop();
  while (!place.has_value()) {
    if (!completions_.block(1, false, until_, "a step of as_completed()")) throw_steps_late();
    place = completions_.pop();
  }
  return *place;
}

void StepAwaiterBase::leave() noexcept {
  if (!on_the_way_) return;
  // Only a frame that is destroyed with its loop waits, or is in a queue, still.
  Scheduler& scheduler = context_->scheduler();
  if (armed()) scheduler.timers.disarm(*this);
  if (steps_.completions().cancel_post()) return count_out();
  while (on_the_way_) scheduler.refuse_arrivals();
}

void StepAwaiterBase::describe(FixedText& text) const noexcept {
  text.add("the next future of as_completed()");
}

bool StepAwaiterBase::start() {
  Scheduler& scheduler = context_->scheduler();
  const std::optional<TimePoint> until = steps_.until();
  if (until.has_value() && *until <= scheduler.now()) {
    late_ = true;
    return false;
  }
  if (!ask()) return false;
  if (until.has_value()) scheduler.timers.arm(*this, *until);
  context_->wait_for(*this);
  return true;
}

// Asks for the next to be posted. False: it is there already.
bool StepAwaiterBase::ask() {
  Scheduler& scheduler = context_->scheduler();
  // Before it is asked for: from then on another thread may complete.
  const bool watches_call = steps_.completions().watches_call();
  if (!steps_.completions().post_when_ready(*this, *scheduler.inbox)) {
    place_ = steps_.completions().pop();
    return false;
  }
  on_the_way_ = true;
  // What another thread completes keeps a virtual clock from jumping.
  if (watches_call) {
    counted_ = true;
    ++scheduler.offloaded;
  }
  return true;
}

void StepAwaiterBase::count_out() noexcept {
  on_the_way_ = false;
  if (counted_) --context_->scheduler().offloaded;
  counted_ = false;
}

void StepAwaiterBase::due(Scheduler& scheduler) noexcept {
  if (!steps_.completions().cancel_post()) return;  // its future is on the way
  late_ = true;
  scheduler.ready.push(*this);
}

void StepAwaiterBase::run() noexcept {
  count_out();
  if (armed()) context_->scheduler().timers.disarm(*this);
  if (!late_ && !cancelled_) place_ = steps_.completions().pop();
  resume();
}

void StepAwaiterBase::refuse() noexcept { count_out(); }

bool StepAwaiterBase::cancel() noexcept {
  if (cancelled_ || !steps_.completions().cancel_post()) return false;
  cancelled_ = true;
  context_->scheduler().ready.push(*this);
  return true;
}

std::size_t StepAwaiterBase::finish() {
  if (cancelled_) context_->throw_cancelled();
  if (late_) throw_steps_late();
  if (!place_.has_value()) {
    throw InvalidStateError(
        "another step of this as_completed() took the future that this one waited for: take its "
        "steps one after the other");
  }
  return *place_;
}

}  // namespace siding::detail
