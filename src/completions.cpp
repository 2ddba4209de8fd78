// SPDX-License-Identifier: MIT
#include <siding/detail/completions.hpp>

#include <siding/detail/job_node.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

#include "parker.hpp"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <mutex>

namespace siding::detail {

/// One reference is that of whoever waits, and one each slot's that is linked or about to run.
struct Completions::Block {
  struct Slot final : FutureWaiter {
    // Without a home: runs in the thread that completes.
    void run() noexcept override { block->arrive(*this); }
    void refuse() noexcept override {}

    Block* block = nullptr;
    FutureState* state = nullptr;  // null where nothing is watched
  };

  explicit Block(std::size_t places) : slots(std::make_unique<Slot[]>(places)), size(places) {
    for (std::size_t i = 0; i < size; ++i) slots[i].block = this;
  }

  void retain() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    // acq_rel: the last one sees what the others did to the block.
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  static bool is_call(const FutureState& state) noexcept {
    return state.origin() == FutureState::Origin::call ||
           state.origin() == FutureState::Origin::loop_call;
  }

  // The thread that completes, or the one that began to watch what was done.
  void arrive(Slot& slot) noexcept {
    {
      const std::lock_guard lock(mutex);
      // Once forsaken nobody holds the state for us.
      if (!forsaken) {
        if (is_call(*slot.state)) --calls;
        failed = failed || slot.state->outcome() == FutureState::Outcome::error;
        done.push(slot);
        ++ready;
        wake();
      }
    }
    release();
  }

  // Whoever waits. A worker that waits for jobs that are queued behind it: see wait_blocking().
  void help(std::size_t count, bool or_error) noexcept {
    if (blocked_help == nullptr) return;
    for (std::size_t i = 0; i < size; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (enough(count, or_error)) return;
      }
      FutureState* state = slots[i].state;
      JobNode* queued = state != nullptr ? state->job() : nullptr;
      if (queued != nullptr) blocked_help->help(*queued);
    }
  }

  // With the lock, for the rest.

  bool enough(std::size_t count, bool or_error) const noexcept {
    return ready >= count || (or_error && failed);
  }

  void wake() noexcept {
    if (sleeper != nullptr && enough(wanted, wants_error)) {
      std::exchange(sleeper, nullptr)->unpark();
    }
    if (node != nullptr) {
      Node* posted = std::exchange(node, nullptr);
      // A loop is closed only after its frames, and those take the node back.
      if (!post(*inbox, *posted)) posted->refuse();
    }
  }

  void check_alone() const {
    if (sleeper == nullptr && node == nullptr) return;
    throw InvalidStateError(
        "another step of this as_completed() is being waited for: take its steps one after the "
        "other");
  }

  const std::unique_ptr<Slot[]> slots;
  const std::size_t size;
  std::atomic<std::size_t> references{1};

  std::mutex mutex;  // guards what follows
  NodeQueue done;    // of slots
  std::size_t ready = 0;
  std::size_t calls = 0;  // of executors, that are not done
  bool failed = false;
  bool forsaken = false;
  Parker* sleeper = nullptr;  // who waits: a thread
  std::size_t wanted = 0;
  bool wants_error = false;
  Node* node = nullptr;  // or a task
  Inbox* inbox = nullptr;
};

Completions::Completions(std::size_t places) : block_(new Block(places)) {}

Completions::~Completions() {
  if (block_ == nullptr) return;
  {
    const std::lock_guard lock(block_->mutex);
    block_->forsaken = true;
  }
  for (std::size_t i = 0; i < block_->size; ++i) {
    Block::Slot& slot = block_->slots[i];
    if (slot.state != nullptr && slot.state->remove_waiter(slot)) block_->release();
  }
  block_->release();
}

void Completions::watch(FutureState& state, std::size_t place) noexcept {
  Block::Slot& slot = block_->slots[place];
  slot.state = &state;
  if (Block::is_call(state)) {
    const std::lock_guard lock(block_->mutex);
    ++block_->calls;
  }
  block_->retain();
  if (!state.add_waiter(slot)) block_->arrive(slot);
}

std::optional<std::size_t> Completions::pop() noexcept {
  const std::lock_guard lock(block_->mutex);
  auto* slot = static_cast<Block::Slot*>(block_->done.pop());
  if (slot == nullptr) return std::nullopt;
  --block_->ready;
  slot->state = nullptr;
  return static_cast<std::size_t>(slot - block_->slots.get());
}

bool Completions::block(std::size_t count, bool or_error, std::optional<TimePoint> until,
                        std::string_view what) {
  if (!until.has_value() && current_scheduler == nullptr) block_->help(count, or_error);
  Parker parker;
  {
    const std::lock_guard lock(block_->mutex);
    if (block_->enough(count, or_error)) return true;
    if (current_scheduler != nullptr) {
      throw WouldBlockLoop(fmt::format(
          "{} would block the running loop of this thread: co_await instead of get()", what));
    }
    block_->check_alone();
    block_->wanted = count;
    block_->wants_error = or_error;
    block_->sleeper = &parker;
  }
  if (parker.park(until)) return true;
  {
    const std::lock_guard lock(block_->mutex);
    if (std::exchange(block_->sleeper, nullptr) != nullptr) return false;
  }
  parker.park();  // completed at the last moment: the wake-up is there
  return true;
}

bool Completions::post_when_ready(Node& node, Inbox& inbox) {
  const std::lock_guard lock(block_->mutex);
  if (block_->ready > 0) return false;
  block_->check_alone();
  block_->node = &node;
  block_->inbox = &inbox;
  return true;
}

bool Completions::cancel_post() noexcept {
  const std::lock_guard lock(block_->mutex);
  return std::exchange(block_->node, nullptr) != nullptr;
}

bool Completions::watches_call() const noexcept {
  const std::lock_guard lock(block_->mutex);
  return block_->calls > 0;
}

}  // namespace siding::detail
