// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/detail/future_state.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/export.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

namespace siding::detail {

[[noreturn]] SIDING_EXPORT void throw_outcome_given();
[[noreturn]] SIDING_EXPORT void throw_no_promise();
SIDING_EXPORT std::exception_ptr make_broken_promise();

/// The state behind a Promise, which holds one reference. Whoever moves `phase_` to `taken` gives
/// the outcome.
template <class T>
class PromiseState final : public ValueState<T> {
  using Outcome = FutureState::Outcome;

 public:
  PromiseState()
      : ValueState<T>(FutureState::Origin::promise, 1),
        home_(current_scheduler != nullptr ? current_scheduler->inbox : nullptr) {}

  bool start() noexcept {
    Phase expected = Phase::pending;
    return phase_.compare_exchange_strong(expected, Phase::started, std::memory_order_acq_rel);
  }

  template <class... U>
  void set_value(U&&... value) {
    const Phase before = take();
    try {
      this->emplace(std::forward<U>(value)...);
    } catch (...) {
      phase_.store(before, std::memory_order_release);  // no outcome: it may be tried again
      throw;
    }
    this->complete(Outcome::value, false);
  }
  void set_exception(std::exception_ptr error) {
    take();
    this->complete(Outcome::error, std::move(error), false);
  }
  void set_cancelled() {
    take();
    this->complete(Outcome::cancelled, false);
  }

  /// The promise goes. Where nobody has a future there is nobody to tell, and no error.
  void abandon() noexcept {
    const bool given = phase_.exchange(Phase::taken, std::memory_order_acq_rel) == Phase::taken;
    if (given || this->references() == 1) {
      this->release();
    } else {
      this->complete(Outcome::error, make_broken_promise(), true);
    }
  }

  bool cancel(const CancelOptions& options) override {
    this->set_cancel_reason(options.reason);
    Phase expected = Phase::pending;
    if (!phase_.compare_exchange_strong(expected, Phase::taken, std::memory_order_acq_rel)) {
      return false;
    }
    this->complete(Outcome::cancelled, false);
    return true;
  }
  bool running() const noexcept override {
    return phase_.load(std::memory_order_acquire) == Phase::started;
  }

 private:
  enum class Phase : std::uint8_t { pending, started, taken };

  Phase take() {
    const Phase before = phase_.exchange(Phase::taken, std::memory_order_acq_rel);
    if (before == Phase::taken) throw_outcome_given();
    return before;
  }

  std::shared_ptr<Inbox> home() const noexcept override { return home_; }

  const std::shared_ptr<Inbox> home_;
  std::atomic<Phase> phase_{Phase::pending};
};

}  // namespace siding::detail
