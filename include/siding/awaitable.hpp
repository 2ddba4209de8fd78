// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/is_task.hpp>
#include <siding/version.hpp>

#include <concepts>
#include <coroutine>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <utility>

namespace siding {

class AnyFuture;

namespace detail {

// The awaiter protocol: await_suspend is not asked for, since it may be a template over the
// promise type.
template <class A>
concept awaiter = requires(A& a) {
  { a.await_ready() } -> std::convertible_to<bool>;
  a.await_resume();
};
template <class A>
concept has_member_await = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept has_free_await = requires(A&& a) { operator co_await(std::forward<A>(a)); };

// What an awaitable is awaited through. Declarations only: to look into the body of an `operator
// co_await` would be to await, which is refused for a call that the guard has flagged.
template <class A>
struct AwaiterOf {
  using type = A;
};
template <has_member_await A>
struct AwaiterOf<A> {
  using type = decltype(std::declval<A>().operator co_await());
};
template <class A>
  requires(!has_member_await<A> && has_free_await<A>)
struct AwaiterOf<A> {
  using type = decltype(operator co_await(std::declval<A>()));
};

}  // namespace detail

/// What may follow `co_await`.
template <class A>
concept Awaitable =
    detail::has_member_await<A> || detail::has_free_await<A> || detail::awaiter<A>;

/// An awaitable that can be handed to a function of the library which awaits it later: an lvalue
/// is copied (a `Future` can be), a `Task` has to be moved in.
template <class A>
concept Passable = Awaitable<A> && (!std::is_lvalue_reference_v<A> ||
                                    std::copy_constructible<std::remove_cvref_t<A>>);

namespace detail {

// SFINAE-friendly: clang forms the return types of all candidates before it looks at constraints.
template <class A>
struct AwaitResult {};
template <Awaitable A>
struct AwaitResult<A> {
  using type = decltype(std::declval<typename AwaiterOf<A>::type&>().await_resume());
};

/// Something that was started: any kind of `Future`.
template <class F>
concept future_like = std::derived_from<std::remove_cvref_t<F>, AnyFuture>;

template <class R>
concept future_range =
    std::ranges::input_range<R> && future_like<std::ranges::range_value_t<R>>;

/// An input range of awaitables; an lvalue range only of copyable ones.
template <class R>
concept awaitable_range =
    std::ranges::input_range<R> && Awaitable<std::ranges::range_value_t<R>> &&
    (!std::is_lvalue_reference_v<R> || std::copy_constructible<std::ranges::range_value_t<R>>);

}  // namespace detail

/// What `co_await` of an `A` gives. A `Future` is taken as an rvalue, as it is stored.
template <class A>
using await_result_t = typename detail::AwaitResult<std::remove_cvref_t<A>>::type;

}  // namespace siding
