// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace siding::detail {

/// Makes lines of the bytes that come out of a pipe, and remembers the last of them.
///
/// A line that came in one piece is handed on where it lies; nothing is allocated for it.
/// Thread safety: one thread at a time.
class LineRelay {
 public:
  /// A longer line is given in pieces.
  static constexpr std::size_t longest_line = 8192;
  static constexpr std::size_t tail_room = 8192;
  static constexpr std::size_t tail_lines = 20;

  /// `sink` gets each line, without its newline, and with whatever else the bytes were; it may use
  /// it until it returns. It does not throw.
  explicit LineRelay(std::function<void(std::string_view)> sink) : sink_(std::move(sink)) {}

  void feed(std::span<const char> bytes);
  /// Nothing more comes: gives a last line that has no newline.
  void finish();

  /// The last 20 lines, or of these what is in the last 8 KiB, cut at the begin of a line where there
  /// is one. Also the line that is not complete.
  std::string tail() const;

 private:
  void remember(std::string_view bytes) noexcept;

  std::function<void(std::string_view)> sink_;
  std::string begun_;  // of the line that is not complete
  std::array<char, tail_room> tail_;
  std::size_t fed_ = 0;  // bytes ever; the next one goes to tail_[fed_ % tail_room]
};

}  // namespace siding::detail
