// SPDX-License-Identifier: MIT
#include <siding/condition.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

namespace siding {

void Condition::check_held(const char* what) const {
  const detail::Scheduler* loop = detail::current_scheduler;
  const detail::TaskContext* task = loop != nullptr ? loop->current : nullptr;
  if (task != nullptr && task == holder_ && mutex_.guard_ != nullptr) [[likely]] return;
  throw InvalidStateError(fmt::format(
      "{}: this task has not locked the condition; co_await lock() first, and keep its guard",
      what));
}

void Condition::notify(std::size_t n) {
  check_held("Condition::notify");
  while (n-- != 0 && !waiting_.empty()) {
    static_cast<detail::ConditionAwaiter*>(waiting_.first())->notify();
  }
}

namespace detail {

void ConditionAwaiter::start() {
  Mutex& mutex = condition_.mutex_;
  mutex.home_.check(scheduler(), "Condition::wait");
  guard_ = mutex.guard_;
  mutex.let_go();
  wait_in(condition_.waiting_);
}

void ConditionAwaiter::await_resume() {
  // There is no mutex any more that could be taken again.
  if (ending_ == Ending::orphaned) [[unlikely]] check_ending("Condition::wait");
  ending_ = Ending::none;
  condition_.mutex_.guard_ = guard_;
  condition_.holder_ = context_;
  check_ending("Condition::wait");
}

void ConditionAwaiter::notify() noexcept {
  notified_ = true;
  lock_again();
}

// From the condition's list into the mutex's, or past it.
void ConditionAwaiter::lock_again() noexcept {
  Mutex& mutex = condition_.mutex_;
  leave_list();
  if (mutex.take()) {
    end(Ending::granted, &mutex.granted_);
  } else {
    mutex.waiting_.push(*this);
  }
}

bool ConditionAwaiter::cancel() noexcept {
  if (cancelled_ || ending_ == Ending::orphaned) return false;
  cancelled_ = true;
  if (!notified_) {
    lock_again();
  } else if (Waiter* other = condition_.waiting_.first()) {
    static_cast<ConditionAwaiter*>(other)->notify();
  }
  return true;
}

// The guard of a frame that is being destroyed is not the holder's, and releases nothing.
void ConditionAwaiter::give_back() noexcept {
  ending_ = Ending::none;
  leave_list();
  condition_.mutex_.let_go();
}

void ConditionAwaiter::orphaned() noexcept { guard_->mutex_ = nullptr; }

}  // namespace detail
}  // namespace siding
