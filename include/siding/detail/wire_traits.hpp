// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_fields.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

// How one type crosses: `Codec<T>`. A codec has
//   refusal   what is wrong with T itself;
//   parts     the types that must be portable for T to be;
//   plain     whether its bytes are the value: no padding, no pointer, no value that is invalid;
//   min_size  the least number of bytes a T takes;
//   write, read.
// Here is what is asked of codecs; those of what has no template of its own are in wire_codec.hpp,
// those of the standard library in wire_values.hpp and wire_containers.hpp.

namespace siding {

/// How values of `T` cross to another process, for full control. Specialise it with
///
///   template <> struct siding::Wire<MyType> {
///     static void write(WireWriter& writer, const MyType& value);
///     static MyType read(WireReader& reader);
///   };
///
/// `write` is called twice for a value, and must write the same both times.
template <class T>
struct Wire;

namespace detail {

template <class T>
concept HasWire = requires(WireWriter& writer, WireReader& reader, const T& value) {
  Wire<T>::write(writer, value);
  { Wire<T>::read(reader) } -> std::same_as<T>;
};

/// What `siding_fields` is given to write the fields it names.
struct FieldWriter {
  static constexpr bool reading = false;
  WireWriter& writer;
  template <class... Field>
  void operator()(const Field&... fields) {
    (writer.value(fields), ...);
  }
};

/// What `siding_fields` is given to read the fields it names.
struct FieldReader {
  static constexpr bool reading = true;
  WireReader& reader;
  template <class... Field>
  void operator()(Field&... fields);
};

template <class T>
concept TakesFields = requires(FieldWriter& writer, FieldReader& reader, T& value) {
  siding_fields(writer, value);
  siding_fields(reader, value);
};

/// Converts to `T&` and not to a base class of it.
template <class T>
struct Exactly {
  template <class U>
  requires std::same_as<U, T>
  operator U&() const;
};
/// Converts to base classes of `T` only.
template <class T>
struct OnlyBaseOf {
  template <class U>
  requires(!std::same_as<U, T> && std::is_base_of_v<U, T>) operator U&() const;
};

/// The hook of a base class would take a derived object, and lose what the derived class adds.
template <class T>
concept HasFields = TakesFields<T> &&
    (TakesFields<const Exactly<T>> || !TakesFields<const OnlyBaseOf<T>>);

template <class T>
inline constexpr bool is_function_pointer_v =
    std::is_pointer_v<T>&& std::is_function_v<std::remove_pointer_t<T>>;

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <class T>
concept Hooked = HasWire<T> || HasFields<T>;

/// Aggregates, and those empty classes that have nothing to lose, such as closures without
/// captures.
template <class T>
concept Reflected = std::is_class_v<T> && !Hooked<T> && std::is_aggregate_v<T>;
template <class T>
concept Blank = std::is_class_v<T> && !Hooked<T> && !std::is_aggregate_v<T> && std::is_empty_v<T> &&
                std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>;

template <class T>
consteval Refusal refusal_of_other() {
  if constexpr (std::is_reference_v<T>) {
    return Refusal::a_reference;
  } else if constexpr (std::is_same_v<T, const char*>) {
    return Refusal::a_string_view_that_is_no_argument;
  } else if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>) {
    return Refusal::a_pointer;
  } else if constexpr (std::is_member_object_pointer_v<T>) {
    return Refusal::a_pointer_to_a_data_member;
  } else if constexpr (std::is_union_v<T>) {
    return Refusal::a_union;
  } else if constexpr (std::is_array_v<T>) {
    return Refusal::a_bare_array;
  } else if constexpr (!std::is_class_v<T>) {
    return Refusal::not_a_type_of_values;
  } else if constexpr (std::is_polymorphic_v<T>) {
    return Refusal::a_polymorphic_class_without_siding_fields;
  } else if constexpr (looks_like_closure<T>()) {
    return Refusal::a_closure_with_captures;
  } else {
    return Refusal::a_class_without_siding_fields;
  }
}

/// Without a form.
template <class T>
struct NoCodec {
  static constexpr Refusal refusal = refusal_of_other<T>();
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 0;
};
template <class T>
struct Codec : NoCodec<T> {};

template <class T, class... Outer>
consteval auto verdict();

template <class... Outer>
consteval auto first_refused(TypeList<>) {
  return Verdict<void, Refusal::none>();
}
template <class... Outer, class Part, class... Rest>
consteval auto first_refused(TypeList<Part, Rest...>) {
  using Found = decltype(verdict<Part, Outer...>());
  if constexpr (Found::because != Refusal::none) {
    return Found();
  } else {
    return first_refused<Outer...>(TypeList<Rest...>());
  }
}

/// The first part of `T` that cannot cross. A type inside itself, as in a tree, is no obstacle.
template <class T, class... Outer>
consteval auto verdict() {
  if constexpr (std::is_array_v<T> && sizeof...(Outer) != 0) {
    return verdict<std::remove_cv_t<std::remove_all_extents_t<T>>, Outer...>();
  } else if constexpr (std::is_const_v<T> && !std::is_reference_v<T>) {
    return verdict<std::remove_const_t<T>, Outer...>();
  } else if constexpr ((std::is_same_v<T, Outer> || ...) || std::is_void_v<T>) {
    return Verdict<void, Refusal::none>();
  } else if constexpr (Codec<T>::refusal != Refusal::none) {
    return Verdict<T, Codec<T>::refusal>();
  } else {
    return first_refused<Outer..., T>(typename Codec<T>::parts());
  }
}

template <class T>
using verdict_t = decltype(verdict<T>());

/// Whether values of `T` can cross to another process. `void` can, as a result.
template <class T>
inline constexpr bool portable_v = verdict_t<T>::because == Refusal::none;

/// The reason, for diagnostics; empty if it can.
template <class T>
consteval std::string_view why_not_portable() {
  return refusal_text(verdict_t<T>::because);
}

/// Stops the compilation where `Part` of `Whole` cannot cross; the compiler names all three.
template <class Whole, class Part, Refusal because>
struct MustCross {
  static_assert(because == Refusal::none,
                "this type cannot cross to another process: its part named here, for the reason "
                "named here, has no form outside of this one");
  static constexpr bool value = true;
};
template <class T>
inline constexpr bool require_portable =
    MustCross<T, typename verdict_t<T>::part, verdict_t<T>::because>::value;

template <class T>
inline constexpr bool plain_v = Codec<T>::plain;
template <class T, std::size_t n>
inline constexpr bool plain_v<T[n]> = plain_v<T>;
template <class T>
inline constexpr bool plain_v<const T> = plain_v<T>;

template <class T>
inline constexpr std::size_t min_size_v = Codec<T>::min_size;
template <class T, std::size_t n>
inline constexpr std::size_t min_size_v<T[n]> = n* min_size_v<T>;
template <class T>
inline constexpr std::size_t min_size_v<const T> = min_size_v<T>;

/// Runs of plain values begin aligned, so that a vector can be made of them without a copy between.
template <class T>
inline constexpr std::size_t run_alignment = std::min<std::size_t>(alignof(T), 64);

}  // namespace detail

}  // namespace siding
