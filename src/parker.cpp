// SPDX-License-Identifier: MIT
#include "parker.hpp"

#include <cerrno>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace siding::detail {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

bool Parker::park(std::optional<TimePoint> deadline) noexcept {
  for (;;) {
    // acquire: pairs with the release in unpark(); what was done before it is visible.
    if (word_.load(std::memory_order_acquire) == token) {
      word_.store(empty, std::memory_order_relaxed);
      return true;
    }
    std::uint32_t expected = empty;
    if (!word_.compare_exchange_strong(expected, parked, std::memory_order_acquire) &&
        expected == token) {
      continue;
    }
    timespec time{};
    if (deadline.has_value()) {
      // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which steady_clock is.
      const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(
          deadline->time_since_epoch());
      const auto count = since.count() > 0 ? since.count() : 0;
      time.tv_sec = static_cast<time_t>(count / 1'000'000'000);
      time.tv_nsec = static_cast<long>(count % 1'000'000'000);
    }
    const long result =
        ::syscall(SYS_futex, &word_, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, parked,
                  deadline.has_value() ? &time : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
    if (result < 0 && errno == ETIMEDOUT) {
      expected = parked;
      if (word_.compare_exchange_strong(expected, empty, std::memory_order_acquire)) return false;
    }
  }
}

void Parker::unpark() noexcept {
  // release: pairs with the acquire in park().
  if (word_.exchange(token, std::memory_order_release) == parked) {
    ::syscall(SYS_futex, &word_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  }
}

}  // namespace siding::detail
