// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/waiter_list.hpp>
#include <siding/export.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

namespace siding::detail {

class GetWaiter;
class JoinAwaiter;
class PutWaiter;

/// All of a queue but its items.
///
/// A getter that is woken does not get an item but the right to one: the item stays in the queue
/// until the getter resumes, counted as reserved. So an item is never on its way, a cancelled
/// getter has nothing to put back, and the bound holds at every moment.
class SIDING_EXPORT QueueCore {
 public:
  explicit QueueCore(std::size_t max_size) noexcept : max_size_(max_size) {}
  QueueCore(const QueueCore&) = delete;
  QueueCore& operator=(const QueueCore&) = delete;

  /// Items that can be had, or will be taken by getters that were woken.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /// Whether a put has to wait.
  bool full() const noexcept { return max_size_ != 0 && size_ >= max_size_; }
  /// 0: no bound.
  std::size_t max_size() const noexcept { return max_size_; }

  /// Says that what was got last has been dealt with; see join().
  /// Throws: InvalidStateError if it was called for every item already.
  void task_done();

  /// Waits until task_done() was called for every item that was ever put; at once if none is left.
  ///
  /// Throws: Cancelled; InvalidStateError if the queue serves another loop. Thread safety: loop
  ///   thread.
  /// Cancellation: ends the wait and throws Cancelled. If all was done already, and the task had
  ///   not resumed yet, the wait ends well and the request is thrown at the next suspension point.
  WaitOn<JoinAwaiter, QueueCore> join() noexcept;

 protected:
  ~QueueCore() = default;

  bool gives() const noexcept { return size_ > reserved_; }
  void check_getters(const char* what) const { getters_.check_thread(what); }
  void check_putters(const char* what) const { putters_.check_thread(what); }
  // Throws QueueShutDown.
  void check_open() const {
    if (shut_down_) [[unlikely]] throw_takes_nothing();
  }
  [[noreturn]] static void throw_takes_nothing();
  [[noreturn]] static void throw_full();
  // Throws QueueShutDown or QueueEmpty.
  [[noreturn]] void throw_nothing_to_get() const;

  void put_in() noexcept {
    ++size_;
    ++unfinished_;
    if (!getters_.empty()) offer();
  }
  void reserve() noexcept { ++reserved_; }
  void unreserve() noexcept {
    --reserved_;
    offer();
  }
  // Takes a reserved item out.
  void take_out() noexcept {
    --reserved_;
    --size_;
    if (!putters_.empty()) make_room();
  }
  // `dropped`: the items are gone.
  void end(bool dropped);
  void check_all(const char* what) const;

 private:
  friend GetWaiter;
  friend JoinAwaiter;
  friend PutWaiter;

  void offer() noexcept;
  void make_room() noexcept;
  void finish() noexcept;

  std::size_t size_ = 0;
  std::size_t reserved_ = 0;    // for getters that were woken and have not resumed
  const std::size_t max_size_;
  std::size_t unfinished_ = 0;  // put, and not yet task_done()
  bool shut_down_ = false;
  HomeLoop home_;
  WaiterList getters_;
  WaiterList granted_;  // getters with a reserved item
  WaiterList putters_;
  WaiterList joiners_;
};

/// The part of a get that does not depend on the type of the items.
class SIDING_EXPORT GetWaiter : public Waiter {
 public:
  bool cancel() noexcept override;
  const char* waits_for() const noexcept override { return "an item of a Queue"; }

 protected:
  explicit GetWaiter(QueueCore& core) noexcept : core_(core) {}
  ~GetWaiter() {
    if (ending_ == Ending::granted) [[unlikely]] give_back();
  }

  // False: there is nothing yet. Throws QueueShutDown if nothing will come.
  bool reserve() {
    if (!core_.gives()) {
      check_worth_waiting();
      return false;
    }
    core_.check_putters("Queue::get");
    core_.reserve();
    ending_ = Ending::granted;
    return true;
  }
  void start();
  // Throws unless an item is reserved; then the reservation is the caller's.
  void check_granted() {
    if (ending_ != Ending::granted) [[unlikely]] throw_refused();
    ending_ = Ending::none;
  }

 private:
  void check_worth_waiting() const;
  void give_back() noexcept;
  void throw_refused();

  QueueCore& core_;
};

/// The same of a put.
class SIDING_EXPORT PutWaiter : public Waiter {
 public:
  /// There is room: moves the item in and ends the wait.
  void accept() noexcept;
  const char* waits_for() const noexcept override { return "room in a Queue"; }

 protected:
  explicit PutWaiter(QueueCore& core) noexcept : core_(core) {}
  ~PutWaiter() = default;

  virtual void move_in() = 0;
  // True: there is room. Throws QueueShutDown.
  bool check() const {
    core_.check_open();
    if (core_.full()) return false;
    core_.check_getters("Queue::put");
    return true;
  }
  void start();
  void finish() {
    if (ending_ != Ending::granted && context_ != nullptr) [[unlikely]] throw_ending();
  }

 private:
  void throw_ending();

  QueueCore& core_;
  std::exception_ptr error_;  // what moving the item threw
};

class SIDING_EXPORT JoinAwaiter final : public Waiter {
 public:
  using value_type = void;

  explicit JoinAwaiter(QueueCore& core) noexcept : core_(core) {}

  bool await_ready() const noexcept { return core_.unfinished_ == 0; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  void await_resume() { check_ending("Queue::join"); }
  const char* waits_for() const noexcept override { return "the items of a Queue to be done"; }

 private:
  void start();

  QueueCore& core_;
};

inline WaitOn<JoinAwaiter, QueueCore> QueueCore::join() noexcept {
  return WaitOn<JoinAwaiter, QueueCore>(*this);
}

/// `co_await queue.get()`.
template <class Queue>
class GetAwaiter final : public GetWaiter {
 public:
  using value_type = typename Queue::value_type;

  explicit GetAwaiter(Queue& queue) noexcept : GetWaiter(queue), queue_(queue) {}

  bool await_ready() { return reserve(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  value_type await_resume() {
    check_granted();
    return queue_.take();
  }

 private:
  Queue& queue_;
};

/// `co_await queue.put(value)`; the value is in the PutOp.
template <class Queue>
class PutAwaiter final : public PutWaiter {
 public:
  using Value = typename Queue::value_type;

  PutAwaiter(Queue& queue, Value& value) noexcept
      : PutWaiter(queue), queue_(queue), value_(value) {}

  bool await_ready() {
    if (!check()) return false;
    queue_.push(std::move(value_));
    return true;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  void await_resume() { finish(); }

 private:
  void move_in() override { queue_.push(std::move(value_)); }

  Queue& queue_;
  Value& value_;
};

}  // namespace siding::detail
