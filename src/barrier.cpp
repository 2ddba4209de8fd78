// SPDX-License-Identifier: MIT
#include <siding/barrier.hpp>
#include <siding/error.hpp>

#include <cstdint>
#include <stdexcept>

namespace siding {

namespace {

[[noreturn]] void throw_broken() {
  throw BrokenBarrier("Barrier::wait: the barrier was reset or aborted; reset() mends it");
}

}  // namespace

Barrier::Barrier(std::size_t parties) : parties_(parties) {
  if (parties == 0 || parties > PTRDIFF_MAX) {
    throw std::invalid_argument("Barrier: the number of parties must be 1 or more");
  }
}

void Barrier::reset() {
  refuse("Barrier::reset");
  broken_ = false;
}

void Barrier::abort() {
  refuse("Barrier::abort");
  broken_ = true;
}

void Barrier::refuse(const char* what) {
  waiting_.check_thread(what);
  while (detail::Waiter* waiter = waiting_.first()) waiter->end(detail::Waiter::Ending::refused);
}

// The numbers are given here and not on arrival, since those who came first may have gone again.
void Barrier::release() {
  waiting_.check_thread("Barrier::wait");
  std::size_t arrived = 0;
  while (detail::Waiter* waiter = waiting_.first()) {
    static_cast<detail::BarrierAwaiter*>(waiter)->index_ = arrived++;
    waiter->end(detail::Waiter::Ending::granted);
  }
}

namespace detail {

bool BarrierAwaiter::await_ready() {
  if (barrier_.broken_) throw_broken();
  if (barrier_.waiting_.size() + 1 < barrier_.parties_) return false;
  barrier_.release();
  index_ = barrier_.parties_ - 1;
  return true;
}

void BarrierAwaiter::start() {
  barrier_.home_.check(scheduler(), "Barrier::wait");
  wait_in(barrier_.waiting_);
}

std::size_t BarrierAwaiter::await_resume() {
  check_ending("Barrier::wait");
  if (ending_ == Ending::refused) throw_broken();
  return index_;
}

}  // namespace detail
}  // namespace siding
