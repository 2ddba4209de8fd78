// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/node.hpp>
#include <siding/export.hpp>

#include <atomic>
#include <cassert>
#include <cstdint>

namespace siding::detail {

/// Where other threads leave nodes for a loop, and how they wake it: one atomic word and one
/// eventfd, at most one write per sleep. Modelled in tests/model/inbox.pml.
///
///   head     null     the loop is awake, nothing is waiting
///            a node   what is waiting, newest first
///            ASLEEP   the loop has committed to sleeping, nothing is waiting
///            CLOSED   the loop takes nothing any more
///
/// A producer pushes by compare-and-swap; the one that replaces ASLEEP writes the eventfd. The loop
/// takes everything by exchange and goes to sleep by compare-and-swap from null to ASLEEP, so a
/// push either comes before (the swap fails, the loop stays awake) or after (it sees ASLEEP).
///
/// The eventfd is never read while the loop lives, so its counter is the number of writes there
/// ever were (a late one may fall into the next sleep, and only wakes it early). `close` compares
/// it with the number of sleeps that a producer ended: when both are equal, no producer is between
/// its push and its write, and the descriptor can be closed. That is why a push needs no reference
/// count.
class SIDING_EXPORT Inbox {
 public:
  Inbox();   // throws std::system_error if no eventfd can be had
  ~Inbox();  // closed, or never used
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Any thread that knows the inbox to be there: from a counted pointer, or because the node is
  /// one that the loop waits for. Hands `node` over; false if the inbox is closed, and the node is
  /// the caller's. Once the loop can see the node, nothing of the inbox is touched any more; if the
  /// push ended a sleep, `close` keeps the descriptor open until it is written.
  bool push(Node& node) noexcept {
    const int event_fd = event_fd_;
    Node* old = head_.load(std::memory_order_relaxed);
    do {
      if (old == closed()) return false;
      node.next = old == asleep() ? nullptr : old;
      // release: pairs with the acquire of take(), and publishes what the node carries.
      // acquire: so that ASLEEP read here happens before the write below.
    } while (!head_.compare_exchange_weak(old, &node, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    if (old == asleep()) write_event(event_fd);
    return true;
  }

  // What follows is for the loop thread.

  /// Takes all that is waiting, oldest first. Ends a sleep.
  Node* take() noexcept {
    assert(open_);
    // A plain look first: an empty inbox of a loop that is awake costs no locked operation. What
    // is pushed after the look is seen by the next one, or by fall_asleep().
    if (!asleep_ && head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return reverse(settle_sleep(head_.exchange(nullptr, std::memory_order_acq_rel)));
  }

  /// Commits to sleeping; false if something is waiting. After true the caller may sleep in the
  /// kernel on event_fd(), and must call take() when it wakes, for whatever reason.
  bool fall_asleep() noexcept {
    assert(!asleep_);
    Node* expected = nullptr;
    // release: pairs with the acquire of the producer that replaces ASLEEP.
    asleep_ = head_.compare_exchange_strong(expected, asleep(), std::memory_order_acq_rel,
                                            std::memory_order_relaxed);
    return asleep_;
  }

  /// Whether something seems to be waiting. For spinning.
  bool has_mail() const noexcept {
    Node* head = head_.load(std::memory_order_relaxed);
    return head != nullptr && head != asleep();
  }

  /// Whether the commitment to sleep still stands: no producer has ended it.
  bool is_asleep() const noexcept { return head_.load(std::memory_order_relaxed) == asleep(); }

  /// Whether pushes are refused. Any thread.
  bool is_closed() const noexcept { return head_.load(std::memory_order_relaxed) == closed(); }

  int event_fd() const noexcept { return event_fd_; }

  /// Sleeps until a push, without a ring; for a loop that is being closed.
  void wait() noexcept;

  /// Refuses all later pushes, returns what was waiting, waits until nobody will write to the
  /// eventfd any more, and closes it.
  Node* close() noexcept;

  /// In a forked child: closes the child's copy of the descriptor, refuses pushes, and nothing
  /// else: the producers are the parent's, and so is the counter behind the descriptor.
  void abandon_after_fork() noexcept;

  /// How often a producer ended a sleep, and so how many writes there were or will be.
  std::uint64_t wakes() const noexcept { return owed_; }

 private:
  static Node* asleep() noexcept { return reinterpret_cast<Node*>(std::uintptr_t{1}); }
  static Node* closed() noexcept { return reinterpret_cast<Node*>(std::uintptr_t{2}); }
  static void write_event(int event_fd) noexcept;

  // Books the end of a sleep: a head that is no longer ASLEEP was replaced by exactly one producer,
  // which has written to the eventfd or is about to.
  Node* settle_sleep(Node* head) noexcept {
    if (asleep_) {
      asleep_ = false;
      if (head == asleep()) return nullptr;
      ++owed_;
    }
    return head;
  }

  static Node* reverse(Node* chain) noexcept {
    Node* reversed = nullptr;
    while (chain != nullptr) {
      Node* next = chain->next;
      chain->next = reversed;
      reversed = chain;
      chain = next;
    }
    return reversed;
  }

  void read_event() noexcept;

  // A line of its own: producers hammer it, while what follows is the loop's.
  alignas(64) std::atomic<Node*> head_{nullptr};
  const int event_fd_;
  alignas(64) bool open_ = true;  // loop thread: the descriptor has not been closed
  bool asleep_ = false;        // loop thread: fall_asleep() succeeded, take() has not come yet
  std::uint64_t owed_ = 0;     // loop thread: sleeps that a producer ended
  std::uint64_t written_ = 0;  // loop thread: what was read from the eventfd while closing
};

}  // namespace siding::detail
