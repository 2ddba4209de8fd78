// SPDX-License-Identifier: MIT
#include <siding/error.hpp>
#include <siding/semaphore.hpp>

#include <fmt/format.h>

#include <limits>
#include <stdexcept>

namespace siding {

void Semaphore::Permit::release() {
  if (owner_ == nullptr) {
    throw InvalidStateError(
        "Semaphore::Permit::release: this permit was released, detached or moved from before");
  }
  owner_->give_back();
  owner_ = nullptr;
}

Semaphore::Semaphore(std::ptrdiff_t count, std::optional<std::ptrdiff_t> bound)
    : value_(count), bound_(bound) {
  if (count < 0) {
    throw std::invalid_argument(
        fmt::format("Semaphore: a count of {} is not possible; begin with 0 or more", count));
  }
  if (bound.has_value() && *bound < count) {
    throw std::invalid_argument(
        fmt::format("Semaphore: a count of {} is above the bound of {}", count, *bound));
  }
}

void Semaphore::release() {
  if (bound_.has_value() && value_ >= *bound_) {
    throw InvalidStateError(fmt::format(
        "Semaphore::release: all {} permits are free already; release only what was acquired and "
        "detached",
        *bound_));
  }
  if (value_ == std::numeric_limits<std::ptrdiff_t>::max()) {
    throw InvalidStateError("Semaphore::release: there are as many permits as can be counted");
  }
  give_back();
}

void Semaphore::set_bound(std::ptrdiff_t bound) {
  if (bound < 0) {
    throw std::invalid_argument(fmt::format("Semaphore::set_bound: a bound of {} is not possible",
                                            bound));
  }
  if (!bound_.has_value()) {
    throw InvalidStateError(
        "Semaphore::set_bound: this semaphore was made without a bound; release() adds to it");
  }
  waiting_.check_thread("Semaphore::set_bound");
  value_ += bound - *bound_;
  bound_ = bound;
  hand_out();
}

void Semaphore::hand_out() noexcept {
  while (value_ > 0 && !waiting_.empty()) {
    --value_;
    waiting_.first()->end(detail::Waiter::Ending::granted, &granted_);
  }
}

namespace detail {

void SemaphoreAwaiter::start() {
  semaphore_.home_.check(scheduler(), "Semaphore::acquire");
  wait_in(semaphore_.waiting_);
}

bool SemaphoreAwaiter::cancel() noexcept {
  if (ending_ != Ending::granted) return Waiter::cancel();
  cancelled_ = true;
  give_back();
  return true;
}

// Was handed a permit and will not use it.
void SemaphoreAwaiter::give_back() noexcept {
  ending_ = Ending::none;
  leave_list();
  semaphore_.give_back();
}

}  // namespace detail
}  // namespace siding
