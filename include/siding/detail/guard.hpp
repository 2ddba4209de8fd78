// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>

#include <concepts>
#include <type_traits>

// g++ before 12.3 destroys some temporaries of a full expression with `co_await` twice: closures
// with captures that have destructors, and aggregates made by braces (GCC PR 99576, 100611,
// 101367). What the library returns for a call that was given such a temporary carries a flag, and
// awaiting it as an rvalue is refused at compile time. Elsewhere the flag is always false.
#ifndef SIDING_GUARD_TEMPORARIES
#if defined(__GNUC__) && !defined(__clang__) && \
    (__GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3))
#define SIDING_GUARD_TEMPORARIES 1
#else
#define SIDING_GUARD_TEMPORARIES 0
#endif
#endif

#define SIDING_GUARD_MESSAGE                                                                     \
  "this compiler (g++ before 12.3) would destroy a temporary in this co_await expression twice: " \
  "a closure with captures, or an aggregate. Either name the call first (auto call = "            \
  "to_thread(...); co_await call;) or name the argument first and pass siding::take(argument)"

namespace siding::detail {

template <class T>
struct Taken;

template <class T>
inline constexpr bool is_taken = false;
template <class T>
inline constexpr bool is_taken<Taken<T>> = true;

/// Whether a temporary of this type may be one that the compiler destroys twice. `T` is the deduced
/// type of a forwarding reference. A closure with captures has no assignment, which is how it is
/// told from classes with constructors.
template <class T>
constexpr bool hazard() {
  using U = std::remove_cvref_t<T>;
  if constexpr (std::is_lvalue_reference_v<T> || !std::is_class_v<U> || is_taken<U>) {
    return false;
  } else if constexpr (requires {
                         { U::guarded } -> std::convertible_to<bool>;
                       }) {
    return U::guarded;  // one of our awaitables: hands on what it was given
  } else if constexpr (is_task<U> || future_like<U>) {
    return false;
  } else {
    return !std::is_trivially_destructible_v<U> &&
           (std::is_aggregate_v<U> || !std::is_move_assignable_v<U>);
  }
}

template <class... T>
inline constexpr bool guard = SIDING_GUARD_TEMPORARIES && (hazard<T>() || ...);

}  // namespace siding::detail
