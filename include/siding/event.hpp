// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/waiter_list.hpp>
#include <siding/export.hpp>

#include <coroutine>

namespace siding {

class Event;

namespace detail {
class EventAwaiter;
}

/// A flag that tasks of one loop can wait for. asyncio's `Event`.
///
/// Thread safety: distinct objects: safe. Shared objects: loop thread only; to set it from another
///   thread, `loop.call_soon_threadsafe([&event] { event.set(); })`. May be made before any loop
///   runs. Tasks of two loops cannot wait for one event: InvalidStateError.
/// Lifetime: may be destroyed right after set(). Destroying it while tasks wait ends their waits
///   with InvalidStateError.
/// Complexity: waiting for an event that is set neither suspends nor allocates, and no wait
///   allocates.
class SIDING_EXPORT Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Sets the flag and wakes all that wait, in the order in which they came; a later clear() does
  /// not take that back.
  /// Throws: std::logic_error if tasks wait whose loop is running on another thread.
  void set();
  void clear() noexcept { set_ = false; }
  bool is_set() const noexcept { return set_; }

  /// Waits until the flag is set; at once if it is.
  ///
  /// Throws: Cancelled; InvalidStateError as above. Thread safety: loop thread.
  /// Cancellation: ends the wait and throws Cancelled. If the event was set already, and the task
  ///   had not resumed yet, the wait ends well and the request is thrown at the next suspension
  ///   point.
  detail::WaitOn<detail::EventAwaiter, Event> wait() noexcept;

 private:
  friend detail::EventAwaiter;

  bool set_ = false;
  detail::HomeLoop home_;
  detail::WaiterList waiting_;
};

namespace detail {

class SIDING_EXPORT EventAwaiter final : public Waiter {
 public:
  using value_type = void;

  explicit EventAwaiter(Event& event) noexcept : event_(event) {}

  bool await_ready() const noexcept { return event_.set_; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    start();
  }
  void await_resume() { check_ending("Event::wait"); }
  const char* waits_for() const noexcept override { return "an Event"; }

 private:
  void start();

  Event& event_;
};

}  // namespace detail

inline detail::WaitOn<detail::EventAwaiter, Event> Event::wait() noexcept {
  return detail::WaitOn<detail::EventAwaiter, Event>(*this);
}

}  // namespace siding
