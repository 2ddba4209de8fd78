// SPDX-License-Identifier: MIT
// One worker process as the program knows it: its slots. See pool_core.hpp.
#include "pool_core.hpp"

namespace siding::detail {

PoolWorker::PoolWorker(std::uint32_t token_given) : token(token_given) {
  free_slots.reserve(slot_count);
  for (std::uint32_t slot = slot_count; slot-- != 0;) free_slots.push_back(slot);
}

bool PoolWorker::ring_has_room() const noexcept {
  // Entries of recalled calls stay until the worker has skipped them. Should it say nonsense, it
  // gets nothing more.
  const std::uint32_t used =
      submitted_tail - region->header.submitted_head.load(std::memory_order_acquire);
  return used < submission_count - slot_count;
}

std::uint32_t PoolWorker::reserve() noexcept {
  const std::uint32_t slot = free_slots.back();
  free_slots.pop_back();
  ++outstanding;
  return slot;
}

void PoolWorker::free_slot(std::uint32_t slot) noexcept {
  Call& call = calls[slot];
  if (call.piece.has_value()) requests.give_back(*call.piece);
  call = Call();
  free_slots.push_back(slot);
  --outstanding;
}

}  // namespace siding::detail
