// SPDX-License-Identifier: MIT
#pragma once

#include <siding/time.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>

// Waiting by looking instead of sleeping, for a short and bounded time. A wake-up across cores costs
// 20 to 25 us in a virtual machine, a look 0.1 us (measured), so whoever answers within that time is
// waited for awake. Who waits for nothing in particular sleeps at once.

namespace siding::detail {

/// How many processors this process may use, at least 1.
std::size_t usable_cpus() noexcept;

/// One waiter's decision whether to spin, learned from how it went: where spinning has not helped
/// for a while, it is tried only now and then. Owned by one thread.
class Spin {
 public:
  /// `length`: how long to spin at most; zero or one processor: never.
  explicit Spin(std::chrono::nanoseconds length) noexcept
      : length_(usable_cpus() > 1 ? length : std::chrono::nanoseconds(0)) {}

  /// Looks until `done()` or the time is over; returns what `done()` said last.
  template <class Done>
  bool until(Done done) noexcept {
    if (!worth_trying()) return false;
    const TimePoint end = saturating_add(Clock::now(), length_);
    for (;;) {
      for (int i = 0; i < looks_per_clock; ++i) {
        if (done()) {
          failures_ = 0;
          return true;
        }
        pause();
      }
      if (Clock::now() >= end) {
        ++failures_;
        return false;
      }
    }
  }

 private:
  // Chosen: reading the clock costs as much as a few looks.
  static constexpr int looks_per_clock = 16;
  // Chosen: failures in a row after which spinning is the exception, and how rare it is then.
  static constexpr unsigned patience = 8;
  static constexpr unsigned rest = 64;

  bool worth_trying() noexcept {
    if (length_.count() <= 0) return false;
    if (failures_ < patience) return true;
    if (++skipped_ % rest != 0) return false;
    return true;
  }

  static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  std::chrono::nanoseconds length_;
  unsigned failures_ = 0;
  unsigned skipped_ = 0;
};

/// At most one worker of the process spins at a time: where all do, the one that has the work does
/// not get on.
class WorkerSpin {
 public:
  WorkerSpin() noexcept
      : mine_(!taken_.load(std::memory_order_relaxed) &&
              !taken_.exchange(true, std::memory_order_relaxed)) {}
  ~WorkerSpin() {
    if (mine_) taken_.store(false, std::memory_order_relaxed);
  }
  WorkerSpin(const WorkerSpin&) = delete;
  WorkerSpin& operator=(const WorkerSpin&) = delete;

  explicit operator bool() const noexcept { return mine_; }

 private:
  // Relaxed: it orders nothing, it only counts.
  static inline constinit std::atomic<bool> taken_{false};
  const bool mine_;
};

}  // namespace siding::detail
