// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/multi_wait.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/started.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <exception>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace siding {

/// What came of something: a value, an error, or a cancellation. Throws nothing except from `value()`.
/// Thread safety: distinct objects: safe. Shared objects: safe to read.
template <class T>
class Outcome {
 public:
  using value_type = T;

  /// Of a future that is done. Throws InvalidStateError if it is not.
  explicit Outcome(Future<T> future) {
    if (future.cancelled()) cancelled_ = true;
    std::exception_ptr error = future.exception();
    if (error != nullptr) {
      kept_.template emplace<1>(std::move(error));
    } else if constexpr (std::is_void_v<T>) {
      kept_.template emplace<2>();
    } else if constexpr (std::is_reference_v<T>) {
      kept_.template emplace<2>(std::addressof(std::move(future).result()));
    } else {
      kept_.template emplace<2>(std::move(future).result());
    }
  }

  [[nodiscard]] bool has_value() const noexcept { return kept_.index() == 2; }
  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
  /// Null if there is a value; a `Cancelled` if it was cancelled.
  [[nodiscard]] std::exception_ptr error() const noexcept {
    return has_value() ? nullptr : *std::get_if<1>(&kept_);
  }
  /// Throws `error()` if there is no value.
  detail::stored_cref_t<T> value() const& {
    check();
    if constexpr (std::is_reference_v<T>) {
      return **std::get_if<2>(&kept_);
    } else if constexpr (!std::is_void_v<T>) {
      return *std::get_if<2>(&kept_);
    }
  }
  T value() && {
    check();
    if constexpr (std::is_reference_v<T>) {
      return **std::get_if<2>(&kept_);
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(*std::get_if<2>(&kept_));
    }
  }

 private:
  void check() const {
    if (!has_value()) std::rethrow_exception(*std::get_if<1>(&kept_));
  }

  std::variant<std::monostate, std::exception_ptr, detail::stored_t<T>> kept_;
  bool cancelled_ = false;
};

namespace detail {

template <class T>
Task<Outcome<T>> outcome_of_future(Future<T> future) {
  MultiWait ended(std::vector<AnyFuture>{future}, MultiWait::Until::all,
                  MultiWait::OnCancelled::cancel_all);
  co_await ended;
  co_return Outcome<T>(std::move(future));
}

template <class A>
Task<Outcome<await_result_t<A>>> outcome_task(A awaitable) {
  check_startable(awaitable);
  auto joined = outcome_of_future(started(awaitable));
  co_return co_await std::move(joined);
}

/// Waits until all have ended, however.
SIDING_EXPORT Task<void> join_all(std::vector<AnyFuture> children);

template <class... A>
Task<std::tuple<Outcome<await_result_t<A>>...>> gather_outcomes_tuple(A... awaitables) {
  (check_startable(awaitables), ...);
  // In braces they are started in order; the arguments of a call need not be.
  std::tuple<Future<await_result_t<A>>...> futures{started(awaitables)...};
  std::vector<AnyFuture> children = std::apply(
      [](const auto&... future) { return std::vector<AnyFuture>{future...}; }, futures);
  co_await join_all(std::move(children));
  co_return std::apply(
      [](auto&... future) {
        return std::tuple<Outcome<await_result_t<A>>...>(
            Outcome<await_result_t<A>>(std::move(future))...);
      },
      futures);
}

template <class A>
Task<std::vector<Outcome<await_result_t<A>>>> gather_outcomes_vector(std::vector<A> awaitables) {
  using T = await_result_t<A>;
  std::vector<Future<T>> futures;
  futures.reserve(awaitables.size());
  for (const A& awaitable : awaitables) check_startable(awaitable);
  for (A& awaitable : awaitables) futures.push_back(started(awaitable));
  awaitables.clear();
  std::vector<AnyFuture> children(futures.begin(), futures.end());
  co_await join_all(std::move(children));
  std::vector<Outcome<T>> outcomes;
  outcomes.reserve(futures.size());
  for (Future<T>& future : futures) outcomes.emplace_back(std::move(future));
  co_return outcomes;
}

}  // namespace detail

/// Awaits something and gives what came of it as a value, also an error or a cancellation. C++ allows
/// no `co_await` in a handler: this is how an error is looked at, and answered by awaiting more.
///
/// What is no future yet is made a task of its own when this is awaited.
///
/// Parameters:
///   awaitable  a task or an awaitable of the library (moved in), or a future.
/// Throws: Cancelled if the awaiting task itself is cancelled.
/// Thread safety: await on a loop's thread.
/// Cancellation: cancels the awaitable, waits until it has ended, throws Cancelled.
template <Passable A>
TaskOp<Outcome<await_result_t<A>>, detail::guard<A>> outcome_of(A&& awaitable) {
  return TaskOp<Outcome<await_result_t<A>>, detail::guard<A>>(
      detail::outcome_task<std::decay_t<A>>(std::forward<A>(awaitable)));
}

/// As `gather`, but gives what came of each as a value when all have ended: no error is thrown, and
/// none stops the wait.
///
/// Parameters:
///   awaitables  tasks (moved in), futures, and what the library's functions return; or one range of
///               them.
/// Returns: a tuple of `Outcome`s; for a range a vector.
/// Throws: Cancelled if the awaiting task itself is cancelled.
/// Thread safety: await on a loop's thread.
/// Cancellation: cancels every child, and throws Cancelled when all have ended.
/// Source: asyncio's `gather(return_exceptions=True)`.
template <Passable... A>
TaskOp<std::tuple<Outcome<await_result_t<A>>...>, detail::guard<A...>> gather_outcomes(
    A&&... awaitables) {
  return TaskOp<std::tuple<Outcome<await_result_t<A>>...>, detail::guard<A...>>(
      detail::gather_outcomes_tuple<std::decay_t<A>...>(std::forward<A>(awaitables)...));
}
template <detail::awaitable_range R>
TaskOp<std::vector<Outcome<await_result_t<std::ranges::range_value_t<R>>>>> gather_outcomes(
    R&& awaitables) {
  using A = std::ranges::range_value_t<R>;
  return TaskOp<std::vector<Outcome<await_result_t<A>>>>(
      detail::gather_outcomes_vector<A>(detail::items_of(std::forward<R>(awaitables))));
}

}  // namespace siding
