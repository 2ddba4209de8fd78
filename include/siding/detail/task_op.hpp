// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/guard.hpp>
#include <siding/task.hpp>

#include <utility>

namespace siding {

/// What the combinators return: a one-shot awaitable of `T`. `G`: it was given a temporary that g++
/// before 12.3 would destroy twice, so it may be awaited by name only.
template <class T, bool G = false>
class [[nodiscard("nothing happens until this is awaited")]] TaskOp {
 public:
  using value_type = T;
  static constexpr bool guarded = G;

  explicit TaskOp(Task<T> task) noexcept : task_(std::move(task)) {}

  detail::TaskAwaiter<T> operator co_await() & noexcept { return task_.operator co_await(); }
  template <class Self = T>
  detail::TaskAwaiter<T> operator co_await() && noexcept {
    static_assert(!G || sizeof(detail::Result<Self>) == 0, SIDING_GUARD_MESSAGE);
    return task_.operator co_await();
  }

 private:
  Task<T> task_;
};

}  // namespace siding
