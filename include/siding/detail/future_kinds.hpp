// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/future.hpp>

#include <ranges>
#include <type_traits>

namespace siding::detail {

// SFINAE-friendly: clang forms the return types of all candidates before it looks at constraints.
template <class F>
struct FutureKind {};
template <future_like F>
struct FutureKind<F> {
  using type = Future<typename F::value_type>;  // also of a GuardedFuture
};
template <>
struct FutureKind<AnyFuture> {
  using type = AnyFuture;
};
template <class F>
using future_kind_t = typename FutureKind<std::remove_cvref_t<F>>::type;

template <class R>
using range_future_t = future_kind_t<std::ranges::range_value_t<R>>;

/// The type they share, else AnyFuture.
template <class... F>
struct CommonFuture {
  using type = AnyFuture;
};
template <class First, class... F>
  requires(future_like<First> && (std::same_as<future_kind_t<First>, future_kind_t<F>> && ...))
struct CommonFuture<First, F...> {
  using type = future_kind_t<First>;
};
template <class... F>
using common_future_t = typename CommonFuture<F...>::type;

}  // namespace siding::detail
