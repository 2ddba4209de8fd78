// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/bound_call.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/queue_core.hpp>
#include <siding/detail/queue_stores.hpp>
#include <siding/error.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace siding {

namespace detail {

[[noreturn]] SIDING_EXPORT void throw_put_twice();

/// What `put` returns; it keeps the item until it is awaited. `G`: it was given a temporary that
/// g++ before 12.3 would destroy twice, so it may be awaited by name only.
template <class Queue, bool G>
class [[nodiscard("nothing is put until this is awaited")]] PutOp {
 public:
  using value_type = void;
  static constexpr bool guarded = G;

  template <class U>
  PutOp(Queue& queue, U&& value) : queue_(&queue), value_(std::forward<U>(value)) {}

  PutAwaiter<Queue> operator co_await() & { return start(); }
  template <class Self = Queue>
  PutAwaiter<Queue> operator co_await() && {
    static_assert(!G || sizeof(Self) == 0, SIDING_GUARD_MESSAGE);
    return start();
  }

 private:
  PutAwaiter<Queue> start() {
    if (queue_ == nullptr) throw_put_twice();
    return PutAwaiter<Queue>(*std::exchange(queue_, nullptr), value_);
  }

  Queue* queue_;
  typename Queue::value_type value_;
};

}  // namespace detail

/// What Queue, LifoQueue and PriorityQueue have in common: a channel between tasks of one loop, in
/// which puts wait where there is a bound and gets wait where there is nothing. asyncio's `Queue`,
/// with the shutdown of Python 3.13.
///
/// Fairness: first come, first served, for gets and for puts. An item that comes is reserved for
///   the getter that has waited longest; nobody overtakes, get_nowait() included.
/// Thread safety: distinct objects: safe. Shared objects: loop thread only. May be made, and filled
///   by put_nowait(), before any loop runs. Tasks of two loops cannot wait for one queue:
///   InvalidStateError. A call that would have to wake a task of a loop that runs on another thread
///   throws std::logic_error.
/// Lifetime: destroying it destroys its items, and ends the waits that are left with
///   InvalidStateError.
/// Complexity: a put with room and a get with an item neither suspend nor use atomic operations,
///   and allocate only where the queue grows; waiting allocates nothing.
template <class T, class Store>
class BasicQueue : public detail::QueueCore {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && std::move_constructible<T>,
                "the items of a queue are moved in and out: it needs a movable object type");
  static_assert(detail::fits_in_frame<T>,
                "an item that is aligned more strictly than operator new cannot be kept in a "
                "coroutine's frame, where compilers would misplace it: queue a std::unique_ptr");

 public:
  using value_type = T;

  /// Parameters:
  ///   max_size  how many items it holds at most; 0 means any number.
  explicit BasicQueue(std::size_t max_size = 0) noexcept : QueueCore(max_size) {}

  /// Waits until there is room and puts an item in.
  ///
  /// Parameters:
  ///   value  anything a `T` can be made of; `take(name)` moves a named object in. It is kept by
  ///   what
  ///     this returns, and lost if the await throws.
  /// Throws: QueueShutDown; Cancelled; InvalidStateError as above; what moving a `T` throws.
  /// Thread safety: loop thread.
  /// Cancellation: leaves the line and throws Cancelled, and the item is not put. If the item was
  ///   taken in already, and the task had not resumed yet, the put has succeeded, and the request
  ///   is thrown at the next suspension point.
  template <class U = T>
    requires std::constructible_from<T, U>
  detail::PutOp<BasicQueue, detail::guard<U>> put(U&& value) {
    return {*this, std::forward<U>(value)};
  }
  detail::PutOp<BasicQueue, false> put(detail::Taken<T> value) {
    return {*this, std::move(*value.object)};
  }

  /// Waits until there is an item and takes it out.
  ///
  /// Throws: QueueShutDown if there is none and the queue was shut down; Cancelled;
  ///   InvalidStateError as above. Thread safety: loop thread.
  /// Cancellation: leaves the line and throws Cancelled, also where an item had come already and
  ///   the task had not resumed yet: then it stays in the queue, for the next who waits.
  detail::WaitOn<detail::GetAwaiter<BasicQueue>, BasicQueue> get() noexcept {
    return detail::WaitOn<detail::GetAwaiter<BasicQueue>, BasicQueue>(*this);
  }

  /// Puts an item in now. Throws: QueueFull, QueueShutDown; then `value` was not moved from.
  template <class U = T>
    requires std::constructible_from<T, U>
  void put_nowait(U&& value) {
    check_open();
    if (full()) throw_full();
    check_getters("Queue::put_nowait");
    push(std::forward<U>(value));
  }

  /// Takes an item out now. Throws: QueueEmpty; QueueShutDown if there is none and none can come.
  T get_nowait() {
    if (!gives()) throw_nothing_to_get();
    check_putters("Queue::get_nowait");
    reserve();
    return take();
  }

  /// Ends the queue: puts throw QueueShutDown from now on, those that wait included. Gets take what
  /// is there and then throw QueueShutDown; those that wait throw it now.
  ///
  /// Parameters:
  ///   immediate  drops the items that are there, as if task_done() had been called for each.
  void shutdown(bool immediate = false) {
    check_all("Queue::shutdown");
    if (immediate) {
      Store dropped;  // destroyed last: an item may use the queue
      std::swap(store_, dropped);
      end(true);
    } else {
      end(false);
    }
  }

 private:
  friend detail::GetAwaiter<BasicQueue>;
  friend detail::PutAwaiter<BasicQueue>;

  template <class U>
  void push(U&& value) {
    store_.push(std::forward<U>(value));
    put_in();
  }

  // An item that is reserved for the caller.
  T take() {
    try {
      T value = store_.pop();
      take_out();
      return value;
    } catch (...) {
      unreserve();
      throw;
    }
  }

  Store store_;
};

/// First in, first out. See `BasicQueue` for its functions.
template <class T>
class Queue : public BasicQueue<T, detail::FifoStore<T>> {
 public:
  using BasicQueue<T, detail::FifoStore<T>>::BasicQueue;
};

/// Last in, first out. See `BasicQueue`.
template <class T>
class LifoQueue : public BasicQueue<T, detail::LifoStore<T>> {
 public:
  using BasicQueue<T, detail::LifoStore<T>>::BasicQueue;
};

/// The least item first, as asyncio's and unlike `std::priority_queue`; of equal ones the first
/// that was put. `Compare()(a, b)` says whether `a` is less, and must not throw. See `BasicQueue`.
template <class T, class Compare = std::less<T>>
class PriorityQueue : public BasicQueue<T, detail::PriorityStore<T, Compare>> {
 public:
  using BasicQueue<T, detail::PriorityStore<T, Compare>>::BasicQueue;
};

}  // namespace siding
