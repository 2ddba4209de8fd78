// SPDX-License-Identifier: MIT
#pragma once

#include "usable_cpus.hpp"

#include <siding/time.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

// Waiting by looking instead of sleeping, for a short and bounded time. A wake-up across cores costs
// 20 to 25 us in a virtual machine, a look 0.1 us (measured), so whoever answers within that time is
// waited for awake. Who waits for nothing in particular sleeps at once.

namespace siding::detail {

/// One waiter's decision whether to spin, learned from how it went: where spinning has not helped
/// for a while, it is tried only now and then. Owned by one thread.
class Spin {
 public:
  /// `length`: how long to spin at most; zero or one processor: never.
  explicit Spin(std::chrono::nanoseconds length) noexcept
      : length_(allowed_cpus() > 1 ? length : std::chrono::nanoseconds(0)) {}

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

/// The process that spins on behalf of a pool, or 0: one at a time, counted over the threads of this
/// program and its worker processes. Where all spin, the one that has the work does not get on.
class SpinCount {
 public:
  /// Counts in memory that processes share from now on. It stays for good.
  static void share(std::atomic<std::uint32_t>& word) noexcept {
    word_.store(&word, std::memory_order_release);
  }
  /// The identity of this process; once, after it was forked.
  static void forked() noexcept;
  /// The process has died, perhaps while it was counted.
  static void forget(std::uint32_t process) noexcept {
    // Relaxed, here and below: it orders nothing, it only counts.
    word_.load(std::memory_order_acquire)
        ->compare_exchange_strong(process, 0, std::memory_order_relaxed);
  }

 private:
  friend class WorkerSpin;
  static std::atomic<std::uint32_t> own_word_;
  static std::atomic<std::atomic<std::uint32_t>*> word_;
  static std::atomic<std::uint32_t> process_;
};

/// A worker's turn to spin; false where another one has it.
class WorkerSpin {
 public:
  WorkerSpin() noexcept : word_(*SpinCount::word_.load(std::memory_order_acquire)) {
    std::uint32_t nobody = 0;
    mine_ = word_.load(std::memory_order_relaxed) == 0 &&
            word_.compare_exchange_strong(nobody,
                                          SpinCount::process_.load(std::memory_order_relaxed),
                                          std::memory_order_relaxed);
  }
  ~WorkerSpin() {
    if (mine_) word_.store(0, std::memory_order_relaxed);
  }
  WorkerSpin(const WorkerSpin&) = delete;
  WorkerSpin& operator=(const WorkerSpin&) = delete;

  explicit operator bool() const noexcept { return mine_; }

 private:
  std::atomic<std::uint32_t>& word_;
  bool mine_;
};

}  // namespace siding::detail
