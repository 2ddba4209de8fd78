// SPDX-License-Identifier: MIT
#pragma once

#include <siding/time.hpp>

namespace siding::testing {

/// A clock for tests: time stands still while a loop has something to run, and jumps to the next
/// timer when it has not, so that code with sleeps and timeouts is tested exactly and at once.
///
/// Give it to one loop: `EventLoop loop{{.clock = &clock}}`. While tasks of the loop await calls on
/// an executor, the loop waits for those instead of jumping. A future that a plain thread completes
/// is not known to the clock: time may jump while it is awaited.
/// Lifetime: must outlive the loop.
/// Thread safety: loop thread only.
class VirtualClock {
 public:
  VirtualClock() = default;
  VirtualClock(const VirtualClock&) = delete;
  VirtualClock& operator=(const VirtualClock&) = delete;

  TimePoint now() const noexcept { return now_; }
  /// Moves the time on; timers that become due fire in the next iteration.
  void advance(std::chrono::nanoseconds length) noexcept {
    now_ = detail::saturating_add(now_, length);
  }
  /// Moves the time on to `when`, never back.
  void advance_to(TimePoint when) noexcept {
    if (when > now_) now_ = when;
  }

 private:
  TimePoint now_{std::chrono::hours(1)};  // chosen: not the epoch, so that a zero is noticed
};

}  // namespace siding::testing
