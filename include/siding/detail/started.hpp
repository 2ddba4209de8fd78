// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/create_task.hpp>
#include <siding/detail/body.hpp>
#include <siding/detail/future_kinds.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace siding::detail {

/// The future of an awaitable: itself, or that of a task that awaits it.
template <class A>
Future<await_result_t<A>> started(A& awaitable) {
  if constexpr (future_like<A>) {
    return std::move(awaitable);
  } else if constexpr (is_task<A>) {
    return create_task(std::move(awaitable));
  } else {
    return create_task(run_awaitable<A>(std::move(awaitable)));
  }
}

/// Throws InvalidStateError for what cannot be started, before anything is.
template <class A>
void check_startable(const A& awaitable) {
  if constexpr (is_task<A>) TaskFrame::check_unstarted(awaitable);
  if constexpr (future_like<A>) {
    if (!awaitable.valid()) throw_no_future();
  }
}

/// The awaitables of a range: copied from an lvalue, else moved.
template <class R>
std::vector<std::ranges::range_value_t<R>> items_of(R&& awaitables) {
  std::vector<std::ranges::range_value_t<R>> items;
  for (auto&& awaitable : awaitables) {
    if constexpr (std::is_lvalue_reference_v<R>) {
      items.push_back(awaitable);
    } else {
      items.push_back(std::move(awaitable));
    }
  }
  return items;
}

}  // namespace siding::detail
