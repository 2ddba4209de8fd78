// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/task.hpp>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

namespace siding {
template <class T>
class Future;
}

namespace siding::detail {

template <class Body, class... S>
struct BodyCall {};
template <class Body, class... S>
  requires std::invocable<std::decay_t<Body>&, S&...>
struct BodyCall<Body, S...> {
  using type = std::invoke_result_t<std::decay_t<Body>&, S&...>;
};
template <class Body, class First, class... S>
  requires(!std::invocable<std::decay_t<Body>&, First&, S & ...> &&
           std::invocable<std::decay_t<Body>&>)
struct BodyCall<Body, First, S...> {
  using type = std::invoke_result_t<std::decay_t<Body>&>;
};

/// A callable that takes `S&...` or nothing and returns a Task.
template <class Body, class... S>
concept body_of = requires { typename BodyCall<Body, S...>::type; } &&
                  is_task<typename BodyCall<Body, S...>::type>;

template <class Body, class... S>
using body_result_t = typename BodyCall<Body, S...>::type::value_type;

/// Calls a body with the scope that it is given, if it wants it.
template <class Body, class S>
decltype(auto) call_body(Body& body, S& scope) {
  if constexpr (std::invocable<Body&, S&>) {
    return body(scope);
  } else {
    return body();
  }
}

/// Keeps a body alive while its coroutine runs.
template <class Body>
Task<body_result_t<Body>> run_body(Body body) {
  auto task = body();
  co_return co_await std::move(task);
}

/// How a named awaitable that belongs to us is awaited: moved from. What carries the guard's flag
/// may be awaited by name only, which is sound.
template <class A>
decltype(auto) by_name(A& awaitable) noexcept {
  if constexpr (future_like<A> && requires { A::guarded; }) {
    return static_cast<Future<typename A::value_type>&&>(awaitable);
  } else if constexpr (requires { A::guarded; }) {
    return (awaitable);
  } else {
    return std::move(awaitable);
  }
}

/// Makes a task of an awaitable.
template <class A>
Task<await_result_t<A>> run_awaitable(A awaitable) {
  co_return co_await by_name(awaitable);
}

}  // namespace siding::detail
