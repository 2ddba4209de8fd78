// SPDX-License-Identifier: MIT
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <string>

namespace siding::detail {

/// A length of time as a text, in the unit that suits, with six digits at most: a limit that was a
/// floating-point number is not exact to the nanosecond.
inline std::string text_of(std::chrono::nanoseconds length) {
  const auto count = static_cast<double>(length.count());
  const double size = std::abs(count);
  if (size >= 1e9 || size == 0) return fmt::format("{:.6g} s", count / 1e9);
  if (size >= 1e6) return fmt::format("{:.6g} ms", count / 1e6);
  if (size >= 1e3) return fmt::format("{:.6g} us", count / 1e3);
  return fmt::format("{:.6g} ns", count);
}

}  // namespace siding::detail
