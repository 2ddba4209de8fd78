// SPDX-License-Identifier: MIT
#include <siding/offload.hpp>

#include <siding/detail/error_report.hpp>
#include <siding/detail/task_state.hpp>
#include <siding/error.hpp>

#include <cassert>

namespace siding::detail {

void throw_offloaded_twice() {
  throw InvalidStateError(
      "this call was awaited before, or moved from: a call is made once; make a new one");
}

bool OffloadAwaiterBase::begin() {
  if (context_->must_cancel()) {
    cancelled_ = true;
    return false;
  }
  if (executor_ == nullptr) executor_ = &default_executor(context_->scheduler(), pool_);
  return true;
}

void OffloadAwaiterBase::start() {
  Scheduler& scheduler = context_->scheduler();
  home_ = scheduler.inbox.get();
  out_ = true;
  ++scheduler.offloaded;
  try {
    enqueue_node(*executor_, *this);
  } catch (...) {
    arrive();
    if (std::exchange(borrowed_, false)) LimiterAccess::give_back(*limiter_);
    throw;
  }
  context_->wait_for(*this);
}

bool OffloadAwaiterBase::borrow() {
  Scheduler& scheduler = context_->scheduler();
  home_ = scheduler.inbox.get();
  if (LimiterAccess::borrow(*limiter_, *this)) {
    borrowed_ = true;
    return true;
  }
  out_ = true;
  waits_ = true;
  ++scheduler.offloaded;
  context_->wait_for(*this);
  return false;
}

// Loop thread: there is room, and it is ours.
void OffloadAwaiterBase::let_in() noexcept {
  if (cancelled_) {
    leave_limiter();
    return resume();
  }
  waits_ = false;
  borrowed_ = true;
  try {
    if (hand_over()) return;
  } catch (...) {
    failure_ = std::current_exception();
  }
  resume();
}

// Loop thread: gives the room back unused.
void OffloadAwaiterBase::leave_limiter() noexcept {
  waits_ = false;
  LimiterAccess::give_back(*limiter_);
}

bool OffloadAwaiterBase::cancel() noexcept {
  if (cancelled_) return false;
  if (waits_) {
    cancelled_ = true;
    if (LimiterAccess::withdraw(*limiter_, *this)) {
      waits_ = false;
      context_->scheduler().ready.push(*this);
    }
    return true;
  }
  do {
    // acquire: pairs with the worker's release, so that `finished` is seen as early as it can be.
    if (phase.load(std::memory_order_acquire) == Phase::queued) {
      if (Job job = executor_->withdraw(static_cast<const JobNode*>(this))) {
        cancelled_ = true;
        job.cancel();
        return true;
      }
      if (move_phase(Phase::queued, Phase::cancelled)) {
        cancelled_ = true;  // the executor will come by and only let go of it
        return true;
      }
    }
    if (pin()) {
      cancelled_ = true;
      if (remote->recall(*this)) {
        unpin(Phase::cancelled);
        send_home();
      } else {
        remote->interrupt(*this);
        unpin(Phase::away);
      }
      return true;
    }
    // The executor moves it from one process to another.
  } while (may_be_caught());
  if (!move_phase(Phase::running, Phase::abandoned)) return false;  // it has returned
  cancelled_ = true;
  request_stop();
  return true;
}

void OffloadAwaiterBase::describe(FixedText& text) const noexcept {
  if (waits_) text.add("room in a Limiter, for ");
  text.add("call");
  if (!name_.empty()) text.add(" '").add(name_).add("'");
  if (!waits_) text.add(" (").add(state_text(*this)).add(")");
}

void OffloadAwaiterBase::fail(std::exception_ptr error) noexcept {
  if (move_phase(Phase::queued, Phase::finished)) failure_ = std::move(error);
  send_home();
}

void OffloadAwaiterBase::drop() noexcept {
  if (move_phase(Phase::queued, Phase::cancelled)) dropped_ = true;
  send_home();
}

void OffloadAwaiterBase::send_home() noexcept {
  // Before the node goes: the limiter may go with the task that awaits this.
  if (borrowed_) [[unlikely]] {
    borrowed_ = false;
    LimiterAccess::give_back(*limiter_);
  }
  // A loop is closed only after its frames, and these wait for their nodes.
  [[maybe_unused]] const bool posted = post(*home_, *this);
  assert(posted);
}

void OffloadAwaiterBase::await_release() noexcept {
  if (!out_) return;
  cancel();
  while (out_) context_->scheduler().refuse_arrivals();
}

void OffloadAwaiterBase::report(const std::exception_ptr& error) noexcept {
  if (is_cancelled(error)) return;
  report_error(context_->scheduler().inbox,
               "an offloaded call threw after its caller was cancelled", error, {});
}

void OffloadAwaiterBase::finish(const std::exception_ptr* unseen) {
  finished_ = true;
  if (cancelled_) {
    if (unseen != nullptr) report(*unseen);
    context_->throw_cancelled();
  }
  if (dropped_) throw Cancelled("the executor was shut down before the call had started");
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace siding::detail
