// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/future_kinds.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/multi_wait.hpp>
#include <siding/detail/started.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <functional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace siding {

/// What `gather` does with the others when one fails.
enum class OnError : unsigned char {
  leave_running,  ///< they go on; their errors count as seen
  cancel_rest,    ///< they are cancelled and waited for before the error is thrown
};

/// Settings of `gather`.
struct GatherOptions {
  OnError on_error = OnError::leave_running;
};
static_assert(std::is_trivially_destructible_v<GatherOptions>);

namespace detail {

/// How a result stands in a tuple or a vector.
template <class T>
struct GatherSlot {
  using type = T;
};
template <>
struct GatherSlot<void> {
  using type = std::monostate;
};
template <class T>
struct GatherSlot<T&> {
  using type = std::reference_wrapper<T>;
};
template <class T>
using slot_t = typename GatherSlot<T>::type;

template <class T>
struct GatheredRange {
  using type = std::vector<slot_t<T>>;
};
template <>
struct GatheredRange<void> {
  using type = void;
};
template <class R>
using gathered_t =
    typename GatheredRange<await_result_t<std::ranges::range_value_t<R>>>::type;

template <class T>
slot_t<T> take_slot(Future<T>& future) {
  if constexpr (std::is_void_v<T>) {
    std::move(future).result();
    return {};
  } else {
    return std::move(future).result();
  }
}

/// Waits for the children; throws the first failure.
SIDING_EXPORT Task<void> join_children(std::vector<AnyFuture> children, OnError on_error);

template <class... A>
Task<std::tuple<slot_t<await_result_t<A>>...>> gather_tuple(GatherOptions options,
                                                            A... awaitables) {
  (check_startable(awaitables), ...);
  // In braces they are started in order; the arguments of a call need not be.
  std::tuple<Future<await_result_t<A>>...> futures{started(awaitables)...};
  std::vector<AnyFuture> children = std::apply(
      [](const auto&... future) { return std::vector<AnyFuture>{future...}; }, futures);
  co_await join_children(std::move(children), options.on_error);
  co_return std::apply(
      [](auto&... future) {
        return std::tuple<slot_t<await_result_t<A>>...>(take_slot(future)...);
      },
      futures);
}

template <class A>
Task<typename GatheredRange<await_result_t<A>>::type> gather_vector(GatherOptions options,
                                                                    std::vector<A> awaitables) {
  using T = await_result_t<A>;
  std::vector<Future<T>> futures;
  futures.reserve(awaitables.size());
  for (const A& awaitable : awaitables) check_startable(awaitable);
  for (A& awaitable : awaitables) futures.push_back(started(awaitable));
  awaitables.clear();
  std::vector<AnyFuture> children(futures.begin(), futures.end());
  co_await join_children(std::move(children), options.on_error);
  if constexpr (!std::is_void_v<T>) {
    std::vector<slot_t<T>> results;
    results.reserve(futures.size());
    for (Future<T>& future : futures) results.push_back(take_slot(future));
    co_return results;
  }
}

}  // namespace detail

/// Awaits several awaitables at once and gives their results in the order given.
///
/// What is no future yet is made a task of its own when the gather is awaited.
///
/// Parameters:
///   awaitables  tasks (moved in), futures, and what the library's functions return; or one range of
///               them.
///   options     what happens to the others when one fails; first for a list, last for a range.
/// Returns: a tuple, with `std::monostate` for void; for a range a vector, or void for a range of
///   void; references become `std::reference_wrapper`.
/// Throws: the first failure, at once, while the others go on (see OnError); Cancelled.
/// Thread safety: await on a loop's thread.
/// Cancellation: cancels every child, and throws Cancelled when all have ended.
template <Passable... A>
TaskOp<std::tuple<detail::slot_t<await_result_t<A>>...>, detail::guard<A...>> gather(
    GatherOptions options, A&&... awaitables) {
  return TaskOp<std::tuple<detail::slot_t<await_result_t<A>>...>, detail::guard<A...>>(
      detail::gather_tuple<std::decay_t<A>...>(options, std::forward<A>(awaitables)...));
}
template <Passable... A>
TaskOp<std::tuple<detail::slot_t<await_result_t<A>>...>, detail::guard<A...>> gather(
    A&&... awaitables) {
  return siding::gather(GatherOptions{}, std::forward<A>(awaitables)...);
}
template <detail::awaitable_range R>
TaskOp<detail::gathered_t<R>> gather(R&& awaitables, GatherOptions options = {}) {
  using A = std::ranges::range_value_t<R>;
  return TaskOp<detail::gathered_t<R>>(
      detail::gather_vector<A>(options, detail::items_of(std::forward<R>(awaitables))));
}

}  // namespace siding
