// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace siding::detail {

/// Text in room that somebody else has; what does not fit is cut. It may be written in a signal
/// handler: nothing here allocates, locks or throws.
class SIDING_EXPORT FixedText {
 public:
  explicit FixedText(std::span<char> room) noexcept : room_(room) {}

  FixedText& add(std::string_view text) noexcept;
  FixedText& add(std::uint64_t number) noexcept;
  /// In seconds, to the millisecond.
  FixedText& add(std::chrono::nanoseconds length) noexcept;

  std::string_view view() const noexcept { return {room_.data(), used_}; }
  /// Whether something did not fit.
  bool cut() const noexcept { return cut_; }

 private:
  std::span<char> room_;
  std::size_t used_ = 0;
  bool cut_ = false;
};

}  // namespace siding::detail
