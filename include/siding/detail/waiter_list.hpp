// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/node.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <string_view>

// What Mutex, Event, Condition, Semaphore, Barrier and Queue wait with. Loop thread only.

namespace siding::detail {

class Waiter;

/// Waiters in the order in which they came, linked through the awaiters themselves: never
///   allocates.
class SIDING_EXPORT WaiterList {
 public:
  WaiterList() = default;
  WaiterList(const WaiterList&) = delete;
  WaiterList& operator=(const WaiterList&) = delete;
  /// Ends the waits that are left with InvalidStateError.
  ~WaiterList() {
    if (first_ != nullptr) [[unlikely]] orphan();
  }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  /// Null if there is none.
  Waiter* first() const noexcept { return first_; }

  void push(Waiter& waiter) noexcept;
  void remove(Waiter& waiter) noexcept;

  /// Throws std::logic_error if there are waiters and their loop is running on another thread: they
  /// could not be woken from here. `what` names the call.
  void check_thread(const char* what) const {
    if (first_ != nullptr) [[unlikely]] check_their_thread(what);
  }

 private:
  void orphan() noexcept;
  void check_their_thread(const char* what) const;

  Waiter* first_ = nullptr;  // its `previous` is the last
  std::size_t size_ = 0;
};

/// Where a waiter is in a list.
struct WaiterLinks {
  WaiterList* list = nullptr;
  Waiter* previous = nullptr;
  Waiter* following = nullptr;  // null for the last
};

/// One `co_await` on a primitive: linked into its list, and resumed through the ready queue.
///
/// A wait ends in one of these ways, and what it waited for is delivered or stays:
///
///   how           by whom                      what the await does
///   granted       the primitive                gives what it waited for
///   refused       the primitive                throws the primitive's error (shut down, broken)
///   orphaned      the primitive's destructor   throws InvalidStateError
///   cancelled     the task's cancellation      throws Cancelled
///
/// Between the end of the wait and the resumption other things run. A waiter that was granted
/// something that belongs to one holder (a lock, a permit, an item) stays in a second list of the
/// primitive meanwhile; its cancellation, or the end of its frame, gives that back.
class SIDING_EXPORT Waiter : public Node, public Suspension {
 public:
  enum class Ending : unsigned char { none, granted, refused, orphaned };

  void run() noexcept final {
    queued_ = false;
    leave_list();
    resume();
  }
  void refuse() noexcept final { queued_ = false; }

  /// For what belongs to nobody: a wait that has ended is over. Others override it.
  bool cancel() noexcept override;

  /// Takes the waiter out of its list and ends its wait. `kept`: where it stays until it resumes.
  void end(Ending ending, WaiterList* kept = nullptr) noexcept {
    ending_ = ending;
    leave_list();
    if (kept != nullptr) kept->push(*this);
    enqueue();
  }

  /// The primitive, as what could follow "waits for".
  virtual const char* waits_for() const noexcept = 0;
  void describe(FixedText& text) const noexcept final;

  /// The primitive is being destroyed; the waiter is in no list any more.
  virtual void orphaned() noexcept {}

  Scheduler& scheduler() const noexcept { return context_->scheduler(); }

  WaiterLinks links;

 protected:
  Waiter() = default;
  ~Waiter() { leave(); }

  /// Joins `list` and suspends. After it nothing of the awaiter may be touched but by its owner.
  void wait_in(WaiterList& list) noexcept {
    list.push(*this);
    context_->wait_for(*this);
  }

  /// For destructors: only a frame that is destroyed with its loop waits, or is in the ready queue.
  void leave() noexcept {
    leave_list();
    while (queued_) scheduler().refuse_arrivals();
  }

  void leave_list() noexcept {
    if (links.list != nullptr) links.list->remove(*this);
  }

  /// Throws what the end of the wait was, unless it was granted or refused. `what` names the call.
  void check_ending(const char* what) {
    if (cancelled_) [[unlikely]] context_->throw_cancelled();
    if (ending_ == Ending::orphaned) [[unlikely]] throw_orphaned(what);
  }

  void enqueue() noexcept {
    if (queued_) return;
    queued_ = true;
    scheduler().ready.push(*this);
  }

  Ending ending_ = Ending::none;

 private:
  [[noreturn]] static void throw_orphaned(const char* what);

  bool queued_ = false;  // in the ready queue
};

/// The loop that a primitive serves: that of the first task that had to wait. Another one may
/// follow when it is closed.
class SIDING_EXPORT HomeLoop {
 public:
  /// Throws InvalidStateError if it is another loop than `scheduler`. `what` names the call.
  void check(Scheduler& scheduler, std::string_view what) {
    if (inbox_ != scheduler.inbox) [[unlikely]] move_to(scheduler, what);
  }

 private:
  void move_to(Scheduler& scheduler, std::string_view what);

  std::shared_ptr<Inbox> inbox_;  // stands for the loop; counted, so that no other has its address
};

/// What the waits of primitives return: an awaitable that does nothing until it is awaited.
template <class Awaiter, class Owner>
class [[nodiscard("nothing happens until this is awaited")]] WaitOn {
 public:
  using value_type = typename Awaiter::value_type;
  explicit WaitOn(Owner& owner) noexcept : owner_(&owner) {}
  Awaiter operator co_await() const noexcept { return Awaiter(*owner_); }

 private:
  Owner* owner_;
};

inline void WaiterList::push(Waiter& waiter) noexcept {
  waiter.links.list = this;
  waiter.links.following = nullptr;
  if (first_ == nullptr) {
    first_ = waiter.links.previous = &waiter;
  } else {
    WaiterLinks& first = first_->links;
    waiter.links.previous = first.previous;
    first.previous->links.following = &waiter;
    first.previous = &waiter;
  }
  ++size_;
}

inline void WaiterList::remove(Waiter& waiter) noexcept {
  WaiterLinks& links = waiter.links;
  links.list = nullptr;
  if (&waiter == first_) {
    first_ = links.following;
  } else {
    links.previous->links.following = links.following;
  }
  if (links.following != nullptr) {
    links.following->links.previous = links.previous;
  } else if (first_ != nullptr) {
    first_->links.previous = links.previous;  // the new last one
  }
  --size_;
}

}  // namespace siding::detail
