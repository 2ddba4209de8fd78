// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/is_task.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace siding::detail {

/// What `take(named)` returns: an object to be moved into a call.
template <class T>
struct Taken {
  T* object;
  explicit Taken(T& named) noexcept : object(std::addressof(named)) {}
};

/// How an argument is kept: decayed, as `std::thread` does.
template <class A>
struct Kept {
  using type = std::decay_t<A>;
  static A&& pass(std::remove_reference_t<A>& argument) noexcept {
    return static_cast<A&&>(argument);
  }
};
template <class T>
struct Kept<Taken<T>> {
  using type = T;
  static T&& pass(Taken<T>& taken) noexcept { return std::move(*taken.object); }
};
template <class T>
struct Kept<Taken<T>&> : Kept<Taken<T>> {};
template <class T>
struct Kept<const Taken<T>&> : Kept<Taken<T>> {};
template <class A>
using kept_t = typename Kept<A>::type;

enum class CallShape { plain, token_first, token_after_object, none };

/// `(object.*member)(token, arguments...)`.
template <class F, class... A>
struct TokenAfterObject : std::false_type {};
template <class F, class Object, class... A>
  requires std::is_member_function_pointer_v<F>
struct TokenAfterObject<F, Object, A...> : std::is_invocable<F, Object, std::stop_token, A...> {};

/// How a call is made. Plain first: asking whether a generic lambda takes a token would instantiate
/// its body.
template <class F, class... A>
constexpr CallShape call_shape() {
  if constexpr (std::is_invocable_v<F, A...>) {
    return CallShape::plain;
  } else if constexpr (std::is_invocable_v<F, std::stop_token, A...>) {
    return CallShape::token_first;
  } else if constexpr (TokenAfterObject<F, A...>::value) {
    return CallShape::token_after_object;
  } else {
    return CallShape::none;
  }
}

/// Makes the call, with rvalues. Only for shapes other than none.
template <CallShape shape, class F, class... A>
decltype(auto) make_call(std::stop_token token, F&& fn, A&&... args) {
  if constexpr (shape == CallShape::plain) {
    return std::invoke(std::forward<F>(fn), std::forward<A>(args)...);
  } else if constexpr (shape == CallShape::token_first) {
    return std::invoke(std::forward<F>(fn), std::move(token), std::forward<A>(args)...);
  } else {
    return [&]<class Object, class... Rest>(Object&& object, Rest&&... rest) -> decltype(auto) {
      return std::invoke(std::forward<F>(fn), std::forward<Object>(object), std::move(token),
                         std::forward<Rest>(rest)...);
    }(std::forward<A>(args)...);
  }
}

template <CallShape shape, class F, class... A>
struct CallResult {
  using type = std::decay_t<decltype(make_call<shape>(std::stop_token(), std::declval<F>(),
                                                      std::declval<A>()...))>;
};
template <class F, class... A>
struct CallResult<CallShape::none, F, A...> {
  using type = void;
};

/// What a call of `fn(args...)` on a worker gives: decayed, so that it is a value of its own.
template <class F, class... A>
using call_result_t =
    typename CallResult<call_shape<kept_t<F>, kept_t<A>...>(), kept_t<F>, kept_t<A>...>::type;

/// A stop source, for calls that take a token; making one allocates.
template <bool has_token>
struct StopPart {
  bool request_stop() noexcept { return source.request_stop(); }
  std::stop_token token() const noexcept { return source.get_token(); }
  std::stop_source source;
};
template <>
struct StopPart<false> {
  bool request_stop() noexcept { return false; }
  std::stop_token token() const noexcept { return {}; }
};

/// Whether an `F` can be called at all, with the right arguments, as far as its kind tells.
template <class F>
inline constexpr bool may_be_function =
    (std::is_class_v<F> || std::is_member_pointer_v<F> ||
     std::is_function_v<std::remove_pointer_t<F>>) &&
    !is_task<F>;

/// A function and its arguments, decay-copied, to be called once.
template <class F, class... A>
class BoundCall {
 public:
  static constexpr CallShape shape = call_shape<kept_t<F>, kept_t<A>...>();
  using result_type = call_result_t<F, A...>;

  static_assert(may_be_function<kept_t<F>>,
                "this is no function but the result of a call, as in to_thread(f(x)): pass the "
                "function and its arguments, to_thread(f, x)");
  static_assert(!is_task<result_type>,
                "the function returns a Task, which would never run: a worker calls ordinary "
                "functions only. Await the task on the loop, or give it to create_task()");
  static_assert(!may_be_function<kept_t<F>> || shape != CallShape::none,
                "the function cannot be called with these arguments. They are copied and passed on "
                "as rvalues, so a parameter that is a non-const lvalue reference needs std::ref");

  template <class... Passed>
  explicit BoundCall(std::in_place_t, Passed&&... passed) : parts_(std::forward<Passed>(passed)...) {}

  result_type operator()(std::stop_token token) {
    return std::apply(
        [&token](auto&&... parts) -> result_type {
          return make_call<shape>(std::move(token), std::forward<decltype(parts)>(parts)...);
        },
        std::move(parts_));
  }

  const std::tuple<kept_t<F>, kept_t<A>...>& parts() const noexcept { return parts_; }

 private:
  std::tuple<kept_t<F>, kept_t<A>...> parts_;
};

/// A call that stays in this process, because its executor is known to run threads. The codec is not
/// asked about its types, which saves time of the compiler and takes types that it cannot judge.
template <class F, class... A>
class LocalCall : public BoundCall<F, A...> {
 public:
  using BoundCall<F, A...>::BoundCall;
};

/// Executors whose calls are LocalCalls, where their type is known.
template <class E>
inline constexpr bool calls_stay_local = std::is_null_pointer_v<E>;
template <class E, class F, class... A>
using call_on_t = std::conditional_t<calls_stay_local<std::remove_cvref_t<E>>, LocalCall<F, A...>,
                                     BoundCall<F, A...>>;

/// The stop source of a call, empty if its function takes no token. It lies beside the call and not
/// in it: another thread may trip it while the worker destroys the call.
template <class Call>
using StopOf = StopPart<Call::shape != CallShape::plain>;

/// Calls it and makes the value of `void` one that can be kept.
template <class Call>
auto call_stored(Call& call, std::stop_token token) {
  if constexpr (std::is_void_v<typename Call::result_type>) {
    call(std::move(token));
    return std::monostate();
  } else {
    return call(std::move(token));
  }
}

}  // namespace siding::detail
