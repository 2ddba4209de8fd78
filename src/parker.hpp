// SPDX-License-Identifier: MIT
#pragma once

#include <siding/time.hpp>

#include <atomic>
#include <cstdint>
#include <optional>

namespace siding::detail {

/// Lets one thread sleep until another has called unpark() once: a binary semaphore on a futex.
/// The owner may destroy it as soon as park() has returned true: unpark() touches only its address
/// after the flag is set.
class Parker {
 public:
  /// The owner. False if the deadline passed first; the token is consumed with true.
  bool park(std::optional<TimePoint> deadline = std::nullopt) noexcept;
  /// The owner. Whether a token is there; consumes nothing.
  bool ready() const noexcept { return word_.load(std::memory_order_acquire) == token; }
  /// Any thread, at most once per park().
  void unpark() noexcept;

 private:
  static constexpr std::uint32_t empty = 0;
  static constexpr std::uint32_t token = 1;
  static constexpr std::uint32_t parked = 2;

  std::atomic<std::uint32_t> word_{empty};
};

}  // namespace siding::detail
