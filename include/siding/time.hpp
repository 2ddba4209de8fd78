// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cmath>
#include <optional>

namespace siding {

/// The clock of the loop, of timers and of every limit: monotonic.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

namespace detail {

/// Converts any duration to nanoseconds: rounded up, so that a wait is never early, and held at
/// the ends of the range, so that `hours::max()` means "very long" and not "in the past".
template <class Rep, class Period>
constexpr std::chrono::nanoseconds saturate(std::chrono::duration<Rep, Period> length) noexcept {
  using std::chrono::nanoseconds;
  if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, nanoseconds>) {
    return length;
  } else {
    using Wide = std::chrono::duration<long double, std::nano>;
    const Wide wide = std::chrono::duration_cast<Wide>(length);
    if (!(wide < Wide(nanoseconds::max()))) return nanoseconds::max();  // also not-a-number
    if (wide <= Wide(nanoseconds::min())) return nanoseconds::min();
    return std::chrono::ceil<nanoseconds>(wide);
  }
}

/// `from + length`, held at the ends of the range.
constexpr TimePoint saturating_add(TimePoint from, std::chrono::nanoseconds length) noexcept {
  if (length.count() > 0 && from > TimePoint::max() - length) return TimePoint::max();
  if (length.count() < 0 && from < TimePoint::min() - length) return TimePoint::min();
  return from + length;
}

}  // namespace detail

/// A length of time, or none. Takes any chrono duration and `std::nullopt`; saturates where
/// nanoseconds would overflow, so `hours::max()` is a very long limit.
class Limit {
 public:
  /// No limit.
  constexpr Limit() noexcept = default;
  constexpr Limit(std::nullopt_t) noexcept {}
  template <class Rep, class Period>
  constexpr Limit(std::chrono::duration<Rep, Period> length) noexcept
      : length_(detail::saturate(length)), has_(true) {}

  constexpr bool has_value() const noexcept { return has_; }
  constexpr std::chrono::nanoseconds value() const noexcept { return length_; }

 private:
  std::chrono::nanoseconds length_{};
  bool has_ = false;
};

namespace detail {

/// The time at which `limit`, counted from `from`, is over; empty for no limit.
constexpr std::optional<TimePoint> deadline(TimePoint from, Limit limit) noexcept {
  if (!limit.has_value()) return std::nullopt;
  return saturating_add(from, limit.value());
}

}  // namespace detail
}  // namespace siding
