// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace siding::detail {

/// Gives out pieces of an arena round and round. Pieces are returned in nearly the order in which
/// they were given, as calls end; a piece that is late holds up those behind it. An arena that
/// becomes empty starts at its beginning again, where the pages are warm.
/// Thread safety: none of its own.
class Arena {
 public:
  /// Names a piece to `give_back`.
  using Ticket = std::uint64_t;
  struct Piece {
    std::size_t offset;
    Ticket ticket;
  };

  explicit Arena(std::size_t size) noexcept : size_(size) {}

  /// Empty if there is no room now.
  std::optional<Piece> take(std::size_t size) {
    if (size > size_) return std::nullopt;
    const std::size_t rounded = std::max(size + alignment - 1, alignment) / alignment * alignment;
    std::size_t begin = 0;
    std::size_t limit = size_;
    if (!pieces_.empty()) {
      const bool wrapped = pieces_.back().begin < pieces_.front().begin;
      begin = pieces_.back().end;
      if (wrapped) {
        limit = pieces_.front().begin;
      } else if (rounded > size_ - begin) {
        begin = 0;
        limit = pieces_.front().begin;
      }
    }
    if (rounded > limit - begin) return std::nullopt;
    pieces_.push_back({begin, begin + rounded, false});
    return Piece{begin, given_++};
  }

  void give_back(Ticket ticket) noexcept {
    pieces_[static_cast<std::size_t>(ticket - (given_ - pieces_.size()))].free = true;
    while (!pieces_.empty() && pieces_.front().free) pieces_.pop_front();
  }

  bool empty() const noexcept { return pieces_.empty(); }

 private:
  static constexpr std::size_t alignment = 64;  // a cache line

  struct Extent {
    std::size_t begin;
    std::size_t end;
    bool free;
  };

  const std::size_t size_;
  std::deque<Extent> pieces_;  // oldest first
  Ticket given_ = 0;           // so many pieces were ever given
};

}  // namespace siding::detail
