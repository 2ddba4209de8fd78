// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/bound_call.hpp>
#include <siding/detail/code_identity.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/wire_argument.hpp>
#include <siding/detail/wire_values.hpp>
#include <siding/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

// How a call crosses to another process: the program writes the function and its arguments, a worker
// finds the same instantiation of `run_portable` in its own image and lets it read them.

namespace siding::detail {

/// Where a worker writes its result.
class ReplySink {
 public:
  /// Room for exactly `size` bytes.
  virtual std::span<std::byte> room(std::size_t size) = 0;
  /// Takes the shared memory that the result names.
  virtual BufferExchange* buffers() noexcept = 0;

 protected:
  ~ReplySink() = default;
};

/// What a worker runs: reads function and arguments, calls, writes the result. Throws what the
/// function throws, and SerializationError.
using Thunk = void (*)(WireReader& in, ReplySink& out, std::stop_token token);

/// How the calls of one type cross. One object per type, never destroyed.
struct PortableCall {
  Thunk thunk;           // null: they cannot
  CodeId (*identity)();  // of the thunk
  bool takes_token;
  std::string (*why_not)();   // for a thunk that is null
  std::string (*describe)();  // the function's type, for reports
};

SIDING_EXPORT std::string type_name(const std::type_info& type);
/// A sentence for NotPortable. `part`: "argument 2", "the function", "the result".
SIDING_EXPORT std::string not_portable_text(const std::type_info& function, std::string_view part,
                                            const std::type_info& type, std::string_view reason);
SIDING_EXPORT std::string stays_local_text(const std::type_info& function);
/// In a handler: throws SerializationError in place of what a hook has thrown, whatever it is.
[[noreturn]] SIDING_EXPORT void throw_unreadable_arguments();
[[noreturn]] SIDING_EXPORT void throw_unwritable_result();

template <class Call>
struct CallTypes;
template <class F, class... A>
struct CallTypes<BoundCall<F, A...>> {
  using function = kept_t<F>;
  using result = typename BoundCall<F, A...>::result_type;
  using stored = std::tuple<function, typename WireArgument<kept_t<A>>::stored...>;

  static constexpr bool portable = portable_callable_v<function> && portable_v<result> &&
                                   (portable_argument_v<kept_t<A>> && ...);

  static std::string why_not() {
    if constexpr (!portable_callable_v<function>) {
      return not_portable_text(typeid(function), "the function", typeid(function),
                               why_not_portable_callable<function>());
    } else if constexpr (!portable_v<result>) {
      return not_portable_text(typeid(function), "its result", typeid(result),
                               why_not_portable<result>());
    } else {
      std::string text;
      int number = 0;
      static_cast<void>(
          ((++number, !portable_argument_v<kept_t<A>> &&
                          (text = not_portable_text(typeid(function),
                                                    "argument " + std::to_string(number),
                                                    typeid(kept_t<A>),
                                                    why_not_portable_argument<kept_t<A>>()),
                           true)) ||
           ...));
      return text;
    }
  }
  static std::string describe() { return type_name(typeid(function)); }

  static void write(const std::tuple<function, kept_t<A>...>& parts, WireWriter& out) {
    std::apply(
        [&out](const function& fn, const kept_t<A>&... args) {
          WireCallable<function>::write(out, fn);
          (WireArgument<kept_t<A>>::write(out, args), ...);
        },
        parts);
  }

  static stored read(WireReader& in) {
    try {
      // In braces: in order.
      stored parts{WireCallable<function>::read(in), WireArgument<kept_t<A>>::read(in)...};
      in.expect_end();
      return parts;
    } catch (...) {
      throw_unreadable_arguments();
    }
  }

  static result call(stored& parts, std::stop_token token) {
    return std::apply(
        [&token](function& fn, auto&... args) -> result {
          return make_call<BoundCall<F, A...>::shape>(std::move(token), std::move(fn),
                                                      WireArgument<kept_t<A>>::pass(args)...);
        },
        parts);
  }
};

template <class F, class... A>
struct CallTypes<LocalCall<F, A...>> {
  using function = kept_t<F>;
  static constexpr bool portable = false;
  static std::string why_not() { return stays_local_text(typeid(function)); }
  static std::string describe() { return type_name(typeid(function)); }
};

template <class T>
void write_result(ReplySink& out, const T& value) {
  try {
    WireWriter measured(out.buffers());
    measured.value(value);
    WireWriter written(out.room(measured.size()), out.buffers());
    written.value(value);
  } catch (...) {
    throw_unwritable_result();
  }
}

template <class Call>
void run_portable(WireReader& in, ReplySink& out, std::stop_token token) {
  using Types = CallTypes<Call>;
  auto parts = Types::read(in);
  if constexpr (std::is_void_v<typename Types::result>) {
    Types::call(parts, std::move(token));
    out.room(0);
  } else {
    write_result(out, Types::call(parts, std::move(token)));
  }
}

/// Looked up once: a look costs as much as the rest of a small call. Without the guard of a static
/// object, which a child would find held that was forked by another thread meanwhile.
template <class Call>
CodeId identity_of() {
  constinit static std::atomic<std::uint64_t> offset{0};
  constinit static std::atomic<std::uint64_t> module{0};  // 0: not looked up
  // acquire: pairs with the release below; the offset is there.
  if (const std::uint64_t known = module.load(std::memory_order_acquire); known != 0) {
    return {known, offset.load(std::memory_order_relaxed)};
  }
  const CodeId id = code_id_of(reinterpret_cast<const void*>(&run_portable<Call>),
                               typeid(typename CallTypes<Call>::function));
  offset.store(id.offset, std::memory_order_relaxed);
  module.store(id.module, std::memory_order_release);
  return id;
}

template <class Call>
const PortableCall& portable_call() noexcept {
  using Types = CallTypes<Call>;
  if constexpr (Types::portable) {
    static constexpr PortableCall type{&run_portable<Call>, &identity_of<Call>,
                                       Call::shape != CallShape::plain, nullptr, &Types::describe};
    return type;
  } else {
    static constexpr PortableCall type{nullptr, nullptr, Call::shape != CallShape::plain,
                                       &Types::why_not, &Types::describe};
    return type;
  }
}

/// Writes a call. Only for those that are portable; others were refused before.
template <class Call>
void encode_call([[maybe_unused]] const Call& call, [[maybe_unused]] WireWriter& out) {
  if constexpr (CallTypes<Call>::portable) {
    CallTypes<Call>::write(call.parts(), out);
  } else {
    std::terminate();
  }
}

/// Reads the result of a call, as it is kept. As `encode_call`.
template <class Call>
stored_t<typename Call::result_type> decode_result([[maybe_unused]] WireReader& in) {
  using T = typename Call::result_type;
  if constexpr (!CallTypes<Call>::portable) {
    std::terminate();
  } else if constexpr (std::is_void_v<T>) {
    in.expect_end();
    return {};
  } else {
    T value = in.value<T>();
    in.expect_end();
    return value;
  }
}

/// Executors whose calls run in other processes, where their type is known.
template <class E>
inline constexpr bool needs_portable_calls = false;
template <class E>
inline constexpr bool needs_portable_calls<E*> = needs_portable_calls<E>;
template <class E>
inline constexpr bool needs_portable_calls<std::shared_ptr<E>> = needs_portable_calls<E>;

/// Stops the compilation if a call of `fn(args...)` cannot cross, and says which part and why.
template <class F, class... Args>
constexpr void require_portable_call() {
  static_assert(require_portable_callable<kept_t<F>>);
  static_assert((require_portable_argument<kept_t<Args>> && ...));
  static_assert(require_portable<call_result_t<F, Args...>>);
}
template <class E, class F, class... Args>
constexpr void check_crossing() {
  if constexpr (needs_portable_calls<std::remove_cvref_t<E>>) require_portable_call<F, Args...>();
}

}  // namespace siding::detail
