// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace siding::detail {

/// Gives out pieces of an arena, always at the lowest place that is free: few calls are under way at
/// a time, so the same pages are used again and again while they are warm.
/// Thread safety: none of its own.
class Arena {
 public:
  explicit Arena(std::size_t size) : size_(size) { pieces_.reserve(64); }

  /// The offset of a piece, a multiple of 64; empty if there is no room now.
  std::optional<std::size_t> take(std::size_t size) {
    if (size > size_) return std::nullopt;
    const std::size_t rounded = std::max(size + line - 1, line) / line * line;
    std::size_t begin = 0;
    auto next = pieces_.begin();
    while (next != pieces_.end() && next->begin - begin < rounded) begin = (next++)->end;
    if (next == pieces_.end() && size_ - begin < rounded) return std::nullopt;
    pieces_.insert(next, {begin, begin + rounded});
    return begin;
  }

  void give_back(std::size_t begin) noexcept {
    pieces_.erase(std::find_if(pieces_.begin(), pieces_.end(),
                               [begin](const Piece& piece) { return piece.begin == begin; }));
  }

  bool empty() const noexcept { return pieces_.empty(); }

 private:
  static constexpr std::size_t line = 64;  // of a cache

  struct Piece {
    std::size_t begin;
    std::size_t end;
  };

  std::size_t size_;
  std::vector<Piece> pieces_;  // in order
};

}  // namespace siding::detail
