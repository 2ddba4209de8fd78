// SPDX-License-Identifier: MIT
// The two tools of the limit programs: a futex and a bounded spin.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "bench.hpp"

namespace bench {

// Measured by the project: a wake-up across cores costs 20 to 25 us in a virtual machine, so a
// spin of about that length costs at most twice the best choice.
inline constexpr std::chrono::microseconds spin_limit{20};

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

// Sleeps while `word` holds `expected`. May return early; the caller looks again.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

inline void futex_wake(std::atomic<std::uint32_t>& word, int count) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

// Tells the processor that this is a spin.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits for `ready` for at most spin_limit. False: not ready in time.
template <class Predicate>
bool spin_until(Predicate ready) {
  // Chosen: the clock is read once in 64 rounds, so that the spin looks at memory, not at the
  // clock.
  constexpr int rounds_per_reading = 64;
  const auto deadline = Clock::now() + spin_limit;
  do {
    for (int round = 0; round < rounds_per_reading; ++round) {
      if (ready()) return true;
      pause();
    }
  } while (Clock::now() < deadline);
  return false;
}

}  // namespace bench
