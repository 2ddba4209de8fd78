// SPDX-License-Identifier: MIT
#include <siding/error.hpp>
#include <siding/mutex.hpp>

namespace siding {

void Mutex::Guard::release() {
  if (mutex_ == nullptr || mutex_->guard_ != this) {
    throw InvalidStateError(
        "Mutex::Guard::release: this guard holds no mutex; it was released or moved from before, "
        "or its task waits on a condition");
  }
  mutex_->let_go();
  mutex_ = nullptr;
}

void Mutex::hand_over() {
  waiting_.check_thread("releasing a Mutex");
  guard_ = nullptr;
  waiting_.first()->end(detail::Waiter::Ending::granted, &granted_);
}

namespace detail {

void LockAwaiter::start() {
  mutex_.home_.check(scheduler(), "Mutex::lock");
  wait_in(mutex_.waiting_);
}

bool LockAwaiter::cancel() noexcept {
  if (ending_ != Ending::granted) return Waiter::cancel();
  cancelled_ = true;
  give_back();
  return true;
}

// Was handed the mutex and will not use it.
void LockAwaiter::give_back() noexcept {
  ending_ = Ending::none;
  leave_list();
  mutex_.let_go();
}

}  // namespace detail
}  // namespace siding
