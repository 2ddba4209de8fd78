// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>
#include <stdexcept>
#include <utility>

// Awaitables as another library might have them: none of them suspends, so none needs a loop.

namespace siding_test {

/// An awaiter on its own, ready from the start.
template <class T>
class Ready {
 public:
  explicit Ready(T value) : value_(std::move(value)) {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  T await_resume() { return std::move(value_); }

 private:
  T value_;
};

/// Decides only in `await_suspend` not to suspend.
class ReadyAtLast {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() const noexcept { return 7; }
};

/// Has a member `operator co_await`.
class WithMemberOperator {
 public:
  explicit WithMemberOperator(int value) : value_(value) {}
  Ready<int> operator co_await() const { return Ready<int>(value_); }

 private:
  int value_;
};

/// Has a free `operator co_await`.
class WithFreeOperator {
 public:
  explicit WithFreeOperator(int value) : value_(value) {}
  int value() const { return value_; }

 private:
  int value_;
};
inline Ready<int> operator co_await(const WithFreeOperator& awaitable) {
  return Ready<int>(awaitable.value());
}

/// Throws when it is awaited, at the step it was told.
class Throwing {
 public:
  enum class Step { ready, suspend, resume };
  explicit Throwing(Step step) : step_(step) {}
  bool await_ready() const {
    throw_at(Step::ready);
    return false;
  }
  bool await_suspend(std::coroutine_handle<>) const {
    throw_at(Step::suspend);
    return false;
  }
  void await_resume() const { throw_at(Step::resume); }

 private:
  void throw_at(Step step) const {
    if (step == step_) throw std::runtime_error("the awaitable threw");
  }

  Step step_;
};

}  // namespace siding_test
