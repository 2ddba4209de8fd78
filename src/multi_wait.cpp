// SPDX-License-Identifier: MIT
#include <siding/detail/multi_wait.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace siding::detail {

/// The waiters of one MultiWait. One reference is the await's, and one each waiter's that is linked
/// or on its way to the loop.
struct WaitBlock {
  struct Slot final : FutureWaiter {
    void run() noexcept override { block->arrive(*this); }
    // The loop is closed; perhaps in another thread.
    void refuse() noexcept override { block->release(); }

    WaitBlock* block = nullptr;
    AnyFuture future;
    bool counted = false;  // in Scheduler::offloaded
  };

  WaitBlock(std::vector<AnyFuture> futures, bool takes_late_errors)
      : slots(std::make_unique<Slot[]>(futures.size())),
        size(futures.size()),
        reads_late(takes_late_errors) {
    for (std::size_t i = 0; i < size; ++i) {
      slots[i].block = this;
      slots[i].future = std::move(futures[i]);
    }
  }

  void retain() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    // acq_rel: the last one sees what the others did to the block.
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  FutureState& state(std::size_t index) const noexcept {
    return *FutureAccess::state(slots[index].future);
  }

  bool link(Slot& slot, Scheduler& scheduler) noexcept {
    FutureState& state = *FutureAccess::state(slot.future);
    loop = scheduler.inbox;
    slot.home = loop.get();
    retain();
    if (!state.add_waiter(slot)) {
      release();
      return false;
    }
    if (state.origin() == FutureState::Origin::call ||
        state.origin() == FutureState::Origin::loop_call) {
      slot.counted = true;
      offloaded = &scheduler.offloaded;
      ++*offloaded;
    }
    return true;
  }

  void unlink(Slot& slot) noexcept {
    if (!FutureAccess::state(slot.future)->remove_waiter(slot)) return;
    count_out(slot);
    release();
  }

  // Loop thread: what follows.
  void count_out(Slot& slot) noexcept {
    if (slot.counted) --*offloaded;
    slot.counted = false;
  }

  void arrive(Slot& slot) noexcept {
    count_out(slot);
    --pending;
    if (wait != nullptr) {
      if (wait->note(static_cast<std::size_t>(&slot - slots.get()))) wait->wake();
    } else if (reads_late) {
      FutureAccess::state(slot.future)->mark_read();
    }
    release();
  }

  std::unique_ptr<Slot[]> slots;
  const std::size_t size;
  const bool reads_late;  // a gather that has failed already: the other errors count as seen
  std::shared_ptr<Inbox> loop;  // counted: completions may come when the loop is gone
  std::size_t pending = 0;
  MultiWait* wait = nullptr;  // null once the await is over
  std::size_t* offloaded = nullptr;
  std::atomic<std::size_t> references{1};
};

MultiWait::MultiWait(std::vector<AnyFuture> futures, Until until, OnCancelled on_cancelled,
                     Limit timeout)
    : block_(new WaitBlock(std::move(futures), on_cancelled == OnCancelled::cancel_all)),
      timeout_(timeout),
      until_(until),
      on_cancelled_(on_cancelled) {}

MultiWait::~MultiWait() {
  // Only a frame that is destroyed with its loop waits, or is in the queue, still.
  if (block_->wait != nullptr) detach();
  while (queued_) context_->scheduler().refuse_arrivals();
  block_->release();
}

bool MultiWait::decides(const AnyFuture& future) const noexcept {
  switch (FutureAccess::state(future)->outcome()) {
    case FutureState::Outcome::error:
      return until_ == Until::first_error || until_ == Until::first_failure;
    case FutureState::Outcome::cancelled:
      return until_ == Until::first_failure;
    case FutureState::Outcome::value:
      return until_ == Until::first_value;
    default:
      return false;
  }
}

// Takes note of a future that is done. True: the wait is over.
bool MultiWait::note(std::size_t index) noexcept {
  if (decides(block_->slots[index].future)) {
    if (!decisive_.has_value()) decisive_ = index;
    return true;
  }
  return until_ == Until::first || block_->pending == 0;
}

bool MultiWait::start() {
  Scheduler& scheduler = context_->scheduler();
  WaitBlock& block = *block_;
  if (on_cancelled_ == OnCancelled::cancel_all) {
    const FutureState* self = &context_->future_state();
    for (std::size_t i = 0; i < block.size; ++i) {
      if (&block.state(i) == self) throw_awaits_itself();
    }
  }
  block.wait = this;
  block.pending = block.size;
  bool over = false;
  // Those that are done already count in the order given.
  for (std::size_t i = 0; i < block.size; ++i) {
    if (!block.link(block.slots[i], scheduler)) {
      --block.pending;
      over = note(i) || over;
    }
  }
  if (over || (timeout_.has_value() && timeout_.value().count() <= 0)) {
    if (on_cancelled_ == OnCancelled::detach) detach();
    block.wait = nullptr;
    return false;
  }
  if (timeout_.has_value()) {
    scheduler.timers.arm(*this, saturating_add(scheduler.now(), timeout_.value()));
  }
  context_->wait_for(*this);
  return true;
}

// The wait is over: the task goes on in the next iteration.
void MultiWait::wake() noexcept {
  Scheduler& scheduler = context_->scheduler();
  if (armed()) scheduler.timers.disarm(*this);
  block_->wait = nullptr;
  queued_ = true;
  scheduler.ready.push(*this);
}

void MultiWait::due(Scheduler&) noexcept { wake(); }

void MultiWait::run() noexcept {
  queued_ = false;
  // A gather stays linked to the children that go on, to take note of their errors.
  if (on_cancelled_ == OnCancelled::detach) detach();
  resume();
}

void MultiWait::detach() noexcept {
  if (armed()) context_->scheduler().timers.disarm(*this);
  block_->wait = nullptr;
  for (std::size_t i = 0; i < block_->size; ++i) block_->unlink(block_->slots[i]);
}

bool MultiWait::cancel() noexcept {
  if (block_->wait == nullptr) return false;  // it is over already
  if (on_cancelled_ == OnCancelled::cancel_all) {
    bool any = false;
    for (std::size_t i = 0; i < block_->size; ++i) {
      any = block_->state(i).cancel({.reason = context_->cancel_reason()}) || any;
    }
    if (any) {
      cancelled_ = true;
      until_ = Until::all;
      return true;
    }
  }
  return give_up();
}

void MultiWait::describe(FixedText& text) const noexcept {
  const WaitBlock& block = *block_;
  if (block.wait == nullptr) return static_cast<void>(text.add("its turn"));
  text.add(until_ == Until::first ? "one of " : "all of ").add(block.size).add(" futures, ");
  text.add(block.size - block.pending).add(" done");
  for (std::size_t i = 0; i < block.size; ++i) {
    if (block.state(i).done()) continue;
    block.state(i).describe(text.add("; first "));
    break;
  }
}

bool MultiWait::give_up() noexcept {
  if (block_->wait == nullptr) return false;  // it is over already
  cancelled_ = true;
  wake();
  return true;
}

}  // namespace siding::detail
