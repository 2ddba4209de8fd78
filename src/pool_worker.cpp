// SPDX-License-Identifier: MIT
// One worker process as the program knows it: its slots. See pool_core.hpp.
#include "pool_core.hpp"

#include <algorithm>

namespace siding::detail {

PoolWorker::PoolWorker(std::uint32_t token_given) : token(token_given) {
  free_slots.reserve(slot_count);
  released.reserve(slot_count);
  for (std::uint32_t slot = slot_count; slot-- != 0;) free_slots.push_back(slot);
}

bool PoolWorker::may_take() noexcept {
  const bool takes = state == State::starting || state == State::alive;
  return takes && !condemned() && !leaving && tasks_left != 0 && initialized && !requests_full &&
         !free_slots.empty() && ring_has_room();
}

bool PoolWorker::ring_has_room() noexcept {
  // Entries of recalled calls stay until the worker has skipped them.
  const std::uint32_t used =
      submitted_tail - region->header.submitted_head.load(std::memory_order_acquire);
  if (used > submission_count) mad = true;
  return used < submission_count - slot_count;
}

std::uint32_t PoolWorker::reserve() noexcept {
  const std::uint32_t slot = free_slots.back();
  free_slots.pop_back();
  ++outstanding;
  return slot;
}

std::uint32_t PoolWorker::unfinished() const noexcept {
  // Relaxed: a count that is behind makes a worker look busier than it is.
  const std::uint32_t finished = region->header.finished.load(std::memory_order_relaxed);
  const auto uncollected = static_cast<std::int32_t>(finished - collected_in_all);
  if (uncollected <= 0) return outstanding;
  return outstanding - std::min(outstanding, static_cast<std::uint32_t>(uncollected));
}

bool PoolWorker::free_slot(std::uint32_t slot) noexcept {
  Call& call = calls[slot];
  bool large = false;
  if (const std::optional<Piece> piece = call.piece; piece.has_value()) {
    large = Region::is_large(piece->offset, piece->size) && released.size() < released.capacity();
    if (large) {
      released.push_back(*piece);
    } else {
      requests.give_back(piece->offset);
      requests_full = false;
    }
  }
  call = Call();
  free_slots.push_back(slot);
  --outstanding;
  return large;
}

}  // namespace siding::detail
