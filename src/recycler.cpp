// SPDX-License-Identifier: MIT
#include <siding/detail/recycler.hpp>

namespace siding::detail {

constinit thread_local Recycler recycler;

namespace {

// Its destructor runs when the thread ends; blocks that are freed later than that go to malloc.
struct ListsGuard {
  bool armed = false;
  ~ListsGuard() {
    Recycler& lists = recycler;
    lists.closed = true;
    for (std::size_t index = 0; index < Recycler::classes; ++index) {
      lists.room[index] = 0;
      while (Recycler::Block* block = lists.blocks[index]) {
        lists.blocks[index] = block->next;
        ::operator delete(block, (index + 1) * Recycler::step);
      }
    }
  }
};
thread_local ListsGuard lists_guard;

}  // namespace

void recycle_slow(void* block, std::size_t index) noexcept {
  Recycler& lists = recycler;
  if (!lists.ready && !lists.closed) {
    lists.ready = true;
    lists_guard.armed = true;  // first use: registers the destructor
    for (std::size_t i = 0; i < Recycler::classes; ++i) {
      lists.room[i] =
          static_cast<std::uint32_t>(Recycler::kept_per_class / ((i + 1) * Recycler::step));
    }
    return recycled_delete(block, (index + 1) * Recycler::step);
  }
  ::operator delete(block, (index + 1) * Recycler::step);
}

}  // namespace siding::detail
