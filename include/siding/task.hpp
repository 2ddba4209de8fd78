// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/recycler.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/error.hpp>
#include <siding/export.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

namespace siding {

template <class T = void>
class Task;

namespace detail {

/// What every promise of a `Task` has: whom to resume, and the task it runs in.
struct PromiseBase {
  std::coroutine_handle<> continuation;  // null for a task's outermost coroutine
  TaskContext* context = nullptr;        // inherited from the parent when the child is awaited
  Place place;                           // of its latest await; before the first, of its function

  explicit PromiseBase(Place function) noexcept : place(function) {}

  /// That of any coroutine of siding, found as `TaskPromise<T>` would be: it has its base at its
  /// beginning, and is not aligned to more than two pointers.
  static const PromiseBase& of(std::coroutine_handle<> coroutine) noexcept {
    return std::coroutine_handle<PromiseBase>::from_address(coroutine.address()).promise();
  }

  static void* operator new(std::size_t size) { return recycled_new(size); }
  static void operator delete(void* frame, std::size_t size) noexcept {
    recycled_delete(frame, size);
  }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      PromiseBase& promise = handle.promise();
      if (promise.continuation) [[likely]] return promise.context->transfer(promise.continuation);
      promise.context->mark_ended();
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }
};

template <class T>
struct TaskPromise : PromiseBase {
  Result<T> result;

  TaskPromise(Place function = Place::current()) noexcept : PromiseBase(function) {}
  Task<T> get_return_object() noexcept;
  void unhandled_exception() noexcept { result.set_error(std::current_exception()); }

  // Converts as a return statement does; the default lets `co_return {}` through.
  template <class U = T>
    requires std::convertible_to<U, T>
  void return_value(U&& value) {
    result.set_value(std::forward<U>(value));
  }
};

template <class T>
struct TaskPromise<T&> : PromiseBase {
  Result<T&> result;

  TaskPromise(Place function = Place::current()) noexcept : PromiseBase(function) {}
  Task<T&> get_return_object() noexcept;
  void unhandled_exception() noexcept { result.set_error(std::current_exception()); }
  void return_value(T& value) noexcept { result.set_value(&value); }
};

template <>
struct TaskPromise<void> : PromiseBase {
  Result<void> result;

  TaskPromise(Place function = Place::current()) noexcept : PromiseBase(function) {}
  Task<void> get_return_object() noexcept;
  void unhandled_exception() noexcept { result.set_error(std::current_exception()); }
  void return_void() noexcept { result.set_value(); }
};

[[noreturn]] SIDING_EXPORT void throw_awaited_twice();
/// In debug mode, reports a task that is destroyed before it has run.
SIDING_EXPORT void note_never_awaited(const PromiseBase& promise) noexcept;
struct TaskFrame;

/// Awaits a child: starts it by symmetric transfer and comes back the same way.
template <class T>
class TaskAwaiter {
 public:
  explicit TaskAwaiter(std::coroutine_handle<TaskPromise<T>> child) noexcept : child_(child) {}

  bool await_ready() const {
    if (!child_ || child_.promise().context != nullptr) throw_awaited_twice();
    return false;
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent,
                                        Place where = Place::current()) noexcept {
    TaskPromise<T>& promise = child_.promise();
    promise.context = &context_of(parent);
    parent.promise().place = where;
    promise.continuation = parent;
    return promise.context->transfer(child_);
  }
  T await_resume() { return child_.promise().result.take(); }

 private:
  std::coroutine_handle<TaskPromise<T>> child_;
};

}  // namespace detail

/// A coroutine that has not run yet: the result type of everything written with `co_await`.
///
/// Unlike asyncio's tasks it is lazy: it runs when it is awaited, or when it is given to
/// `create_task()` or `run()`. It is move-only and awaited once. Destroying it unstarted releases
/// its arguments and runs nothing.
///
/// Awaiting transfers to the child and back without going through the loop; a chain of a million
/// children that end at once needs constant stack, also in unoptimised builds.
///
/// Lifetime: arguments are kept in the coroutine's frame, so take them by value. A lambda that is a
/// coroutine does not keep its captures alive: give the lambda itself to `create_task()` or
/// `run()`, which keep it until the coroutine has ended.
/// Thread safety: distinct objects: safe. Shared objects: unsafe; a task that has started belongs
/// to its loop's thread.
/// Cancellation: reaches the innermost await of the running task.
template <class T>
class [[nodiscard("a Task does nothing until it is awaited or given to create_task() or run()")]]
Task {
 public:
  using value_type = T;
  using promise_type = detail::TaskPromise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    Task old(std::move(*this));
    handle_ = std::exchange(other.handle_, nullptr);
    return *this;
  }
  ~Task() {
    if (!handle_) return;
    if (handle_.promise().context == nullptr) [[unlikely]] {
      detail::note_never_awaited(handle_.promise());
    }
    handle_.destroy();
  }

  /// Runs the task and gives what it returns, or throws what it throws. A second await throws
  /// InvalidStateError.
  detail::TaskAwaiter<T> operator co_await() & noexcept {
    return detail::TaskAwaiter<T>(handle_);
  }
  detail::TaskAwaiter<T> operator co_await() && noexcept {
    return detail::TaskAwaiter<T>(handle_);
  }

 private:
  friend detail::TaskPromise<T>;
  friend detail::TaskFrame;

  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

/// Takes the frame out of a task, for what runs it.
struct TaskFrame {
  /// Throws InvalidStateError if there is no frame, or if it has started.
  template <class T>
  static void check_unstarted(const Task<T>& task) {
    if (!task.handle_ || task.handle_.promise().context != nullptr) throw_awaited_twice();
  }
  template <class T>
  static std::coroutine_handle<TaskPromise<T>> release(Task<T>& task) noexcept {
    return std::exchange(task.handle_, nullptr);
  }
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
template <class T>
Task<T&> TaskPromise<T&>::get_return_object() noexcept {
  return Task<T&>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace detail
}  // namespace siding
