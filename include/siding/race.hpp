// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/started.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/gather.hpp>
#include <siding/task.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace siding {

/// What came of a `race`.
template <class T>
struct RaceResult {
  T value;            ///< of the winner
  std::size_t index;  ///< which of the awaitables, in the order given, has won
  /// What each of the others threw, in the order given: its error, or `Cancelled`. Null for the
  /// winner, and for one that had a value too when it was to be cancelled.
  std::vector<std::exception_ptr> errors;
};

namespace detail {

/// One type for results of one type; else a variant in the order given, whose index is the
/// winner's.
template <class First, class... T>
struct RaceValue {
  using type = std::variant<slot_t<First>, slot_t<T>...>;
};
template <class First, class... T>
  requires(std::same_as<First, T> && ...)
struct RaceValue<First, T...> {
  using type = slot_t<First>;
};
template <class... T>
using race_value_t = typename RaceValue<T...>::type;

struct RaceEnd {
  std::size_t index;
  std::vector<std::exception_ptr> errors;
};

/// Waits for the first value, cancels the others, waits until they have ended; throws if there is
/// none.
SIDING_EXPORT Task<RaceEnd> first_value(std::vector<AnyFuture> children);
/// Throws std::invalid_argument.
[[noreturn]] SIDING_EXPORT void throw_race_of_nothing();

template <class Value, std::size_t I = 0, class Futures>
Value take_winner(Futures& futures, std::size_t index) {
  if constexpr (I + 1 < std::tuple_size_v<Futures>) {
    if (index != I) return take_winner<Value, I + 1>(futures, index);
  }
  using T = typename std::tuple_element_t<I, Futures>::value_type;
  if constexpr (std::same_as<Value, slot_t<T>>) {
    return take_slot(std::get<I>(futures));
  } else {
    return Value(std::in_place_index<I>, take_slot(std::get<I>(futures)));
  }
}

template <class A>
Task<RaceResult<slot_t<await_result_t<A>>>> race_vector(std::vector<A> awaitables) {
  using T = await_result_t<A>;
  if (awaitables.empty()) throw_race_of_nothing();
  for (const A& awaitable : awaitables) check_startable(awaitable);
  std::vector<Future<T>> futures;
  futures.reserve(awaitables.size());
  for (A& awaitable : awaitables) futures.push_back(started(awaitable));
  awaitables.clear();
  std::vector<AnyFuture> children(futures.begin(), futures.end());
  RaceEnd end = co_await first_value(std::move(children));
  RaceResult<slot_t<T>> result{take_slot(futures[end.index]), end.index, std::move(end.errors)};
  co_return result;
}

template <class... A>
Task<RaceResult<race_value_t<await_result_t<A>...>>> race_tuple(A... awaitables) {
  using Value = race_value_t<await_result_t<A>...>;
  (check_startable(awaitables), ...);
  // In braces they are started in order; the arguments of a call need not be.
  std::tuple<Future<await_result_t<A>>...> futures{started(awaitables)...};
  std::vector<AnyFuture> children = std::apply(
      [](const auto&... future) { return std::vector<AnyFuture>{future...}; }, futures);
  RaceEnd end = co_await first_value(std::move(children));
  RaceResult<Value> result{take_winner<Value>(futures, end.index), end.index,
                           std::move(end.errors)};
  co_return result;
}

}  // namespace detail

/// Awaits several awaitables at once and gives the first value; the others are cancelled and waited
/// for.
///
///   const auto [answer, mirror, errors] = co_await race(ask(one), ask(two));
///
/// Unlike asyncio's `wait` for the first one, it does not stop at an error: one that fails drops
/// out of the race. What is no future yet is made a task of its own when the race is awaited. To
/// give some a head start, let the others begin with a `sleep`.
///
/// Parameters:
///   awaitables  tasks (moved in), futures, and what the library's functions return; or one range
///               of them. At least one.
/// Returns: the value, which of them it is of, and what the others threw. The value is a
///   `std::variant` of the results, in the order given, where their types differ; void is
///   `std::monostate`, and references become `std::reference_wrapper`.
/// Throws: ExceptionGroup if none has a value, with what each threw, in the order given; Cancelled;
///   std::invalid_argument for an empty range.
/// Thread safety: await on a loop's thread.
/// Cancellation: cancels every child, and throws Cancelled when all have ended. An awaitable that
///   cannot be cancelled, such as a running call of `submit`, is waited for. A second request while
///   the others are ending costs the value.
/// Source: asyncio's `staggered_race`, without the delays.
template <Passable... A>
  requires(sizeof...(A) > 0)
TaskOp<RaceResult<detail::race_value_t<await_result_t<A>...>>, detail::guard<A...>> race(
    A&&... awaitables) {
  return TaskOp<RaceResult<detail::race_value_t<await_result_t<A>...>>, detail::guard<A...>>(
      detail::race_tuple<std::decay_t<A>...>(std::forward<A>(awaitables)...));
}
template <detail::awaitable_range R>
TaskOp<RaceResult<detail::slot_t<await_result_t<std::ranges::range_value_t<R>>>>> race(
    R&& awaitables) {
  using A = std::ranges::range_value_t<R>;
  return TaskOp<RaceResult<detail::slot_t<await_result_t<A>>>>(
      detail::race_vector<A>(detail::items_of(std::forward<R>(awaitables))));
}

}  // namespace siding
