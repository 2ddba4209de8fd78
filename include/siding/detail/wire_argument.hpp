// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_containers.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// The function and the arguments of a call. Arguments may be what values may not: text that belongs
// to somebody else, because the other process can keep a copy for the length of the call.

namespace siding::detail {

/// How an argument of type `T`, decayed, crosses. `stored` is what the other process keeps for the
/// length of the call; `pass(stored)` is the `T` that the function is given.
template <class T>
struct WireArgument {
  static_assert(std::is_same_v<T, std::decay_t<T>>);
  using stored = T;
  using Reason = verdict_t<T>;

  static void write(WireWriter& writer, const T& value) { writer.value(value); }
  static stored read(WireReader& reader) { return reader.value<T>(); }
  static T&& pass(stored& kept) noexcept { return std::move(kept); }
};

/// The text of a `const char*` argument, which may be null.
class StoredText {
 public:
  StoredText() = default;
  explicit StoredText(std::string text) : text_(std::move(text)), is_null_(false) {}
  // NOLINTNEXTLINE(google-explicit-constructor): it stands for the argument.
  operator const char*() const noexcept { return is_null_ ? nullptr : text_.c_str(); }

 private:
  std::string text_;
  bool is_null_ = true;
};

template <>
struct WireArgument<const char*> {
  using stored = StoredText;
  using Reason = Verdict<void, Refusal::none>;

  static void write(WireWriter& writer, const char* value) {
    writer.value(value != nullptr);
    if (value == nullptr) return;
    const std::string_view text(value);
    writer.length(text.size());
    writer.bytes(text.data(), text.size());
  }
  static stored read(WireReader& reader) {
    if (!read_bool(reader)) return {};
    return StoredText(reader.value<std::string>());
  }
  static const char* pass(const stored& kept) noexcept { return kept; }
};

template <class C, class Traits>
struct WireArgument<std::basic_string_view<C, Traits>> {
  using stored = std::basic_string<C, Traits>;  // it converts by itself
  using Reason = Verdict<void, Refusal::none>;

  static void write(WireWriter& writer, std::basic_string_view<C, Traits> value) {
    writer.length(value.size());
    writer.bytes(value.data(), value.size() * sizeof(C));
  }
  static stored read(WireReader& reader) { return reader.value<stored>(); }
  static std::basic_string_view<C, Traits> pass(const stored& kept) noexcept { return kept; }
};

/// How the function of a call crosses. Of an empty one nothing does: the type says it all, and the
/// code that reads it names the type.
template <class F>
struct WireCallable {
  static constexpr bool empty =
      std::is_class_v<F> && std::is_empty_v<F> && std::is_default_constructible_v<F>;
  using Reason = std::conditional_t<empty, Verdict<void, Refusal::none>, verdict_t<F>>;

  static void write([[maybe_unused]] WireWriter& writer, [[maybe_unused]] const F& fn) {
    if constexpr (!empty) writer.value(fn);
  }
  static F read([[maybe_unused]] WireReader& reader) {
    if constexpr (empty) {
      return F();
    } else {
      return reader.value<F>();
    }
  }
};

template <class T>
inline constexpr bool portable_argument_v = WireArgument<T>::Reason::because == Refusal::none;
template <class F>
inline constexpr bool portable_callable_v = WireCallable<F>::Reason::because == Refusal::none;

/// The reasons in words, as `why_not_portable`.
template <class T>
consteval std::string_view why_not_portable_argument() {
  return refusal_text(WireArgument<T>::Reason::because);
}
template <class F>
consteval std::string_view why_not_portable_callable() {
  return refusal_text(WireCallable<F>::Reason::because);
}

/// These stop the compilation, as `require_portable`.
template <class T>
inline constexpr bool require_portable_argument =
    MustCross<T, typename WireArgument<T>::Reason::part, WireArgument<T>::Reason::because>::value;
template <class F>
inline constexpr bool require_portable_callable =
    MustCross<F, typename WireCallable<F>::Reason::part, WireCallable<F>::Reason::because>::value;

}  // namespace siding::detail
