// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_refusal.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

// The fields of an aggregate, without a line of help from its author: counted by asking how many
// `{}` its initialiser takes, named by a structured binding. (`{}` and not a value that converts to
// anything: with such values an array member would take one for each of its elements.)

namespace siding::detail {

/// Converts to what is a base class of `T`, and to nothing else.
template <class T>
struct AnyBaseOf {
  template <class Base>
  requires(!std::same_as<Base, T> && std::is_base_of_v<Base, T>) operator Base() const;
};

/// Converts to everything but `T`.
template <class T>
struct AnyFieldOf {
  template <class Field>
  requires(!std::same_as<Field, T>) operator Field() const;
};

/// Converts to a reference to everything but `T`.
template <class T>
struct AnyReferenceOf {
  template <class Field>
  requires(!std::same_as<Field, T>) operator Field&() const;
};

/// The first initialiser of an aggregate is for its first base class, if it has any.
template <class T>
concept HasBases = requires(AnyBaseOf<T> base) {
  T{base};
};

inline constexpr int most_fields = 64;

/// What `field_count` says of an aggregate where a field is followed by one that `{}` cannot make.
inline constexpr int fields_not_empty = -1;

#define SIDING_1 \
  {}
#define SIDING_2 SIDING_1, SIDING_1
#define SIDING_4 SIDING_2, SIDING_2
#define SIDING_8 SIDING_4, SIDING_4
#define SIDING_16 SIDING_8, SIDING_8
#define SIDING_32 SIDING_16, SIDING_16
#define SIDING_64 SIDING_32, SIDING_32
// If one more than `count` is too many, `count` it is.
#define SIDING_COUNT(count, ...)                     \
  if constexpr (!requires { T{__VA_ARGS__, {}}; }) { \
    if constexpr (                                   \
        requires(AnyFieldOf<T> any) {                \
          T{__VA_ARGS__, any};                       \
        } ||                                         \
        requires(AnyReferenceOf<T> any) {            \
          T{__VA_ARGS__, any};                       \
        }) {                                         \
      return fields_not_empty;                       \
    } else {                                         \
      return count;                                  \
    }                                                \
  } else

/// The number of fields of an aggregate; more than `most_fields` if it has more.
template <class T>
consteval int field_count() {
  if constexpr (!requires { T{}; }) {
    return fields_not_empty;
  } else if constexpr (!requires { T{{}}; }) {
    constexpr bool more = requires(AnyFieldOf<T> any) { T{any}; }
    || requires(AnyReferenceOf<T> any) { T{any}; };
    return more ? fields_not_empty : 0;
  } else
    SIDING_COUNT(1, SIDING_1)
  SIDING_COUNT(2, SIDING_2)
  SIDING_COUNT(3, SIDING_2, SIDING_1)
  SIDING_COUNT(4, SIDING_4)
  SIDING_COUNT(5, SIDING_4, SIDING_1)
  SIDING_COUNT(6, SIDING_4, SIDING_2)
  SIDING_COUNT(7, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(8, SIDING_8)
  SIDING_COUNT(9, SIDING_8, SIDING_1)
  SIDING_COUNT(10, SIDING_8, SIDING_2)
  SIDING_COUNT(11, SIDING_8, SIDING_2, SIDING_1)
  SIDING_COUNT(12, SIDING_8, SIDING_4)
  SIDING_COUNT(13, SIDING_8, SIDING_4, SIDING_1)
  SIDING_COUNT(14, SIDING_8, SIDING_4, SIDING_2)
  SIDING_COUNT(15, SIDING_8, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(16, SIDING_16)
  SIDING_COUNT(17, SIDING_16, SIDING_1)
  SIDING_COUNT(18, SIDING_16, SIDING_2)
  SIDING_COUNT(19, SIDING_16, SIDING_2, SIDING_1)
  SIDING_COUNT(20, SIDING_16, SIDING_4)
  SIDING_COUNT(21, SIDING_16, SIDING_4, SIDING_1)
  SIDING_COUNT(22, SIDING_16, SIDING_4, SIDING_2)
  SIDING_COUNT(23, SIDING_16, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(24, SIDING_16, SIDING_8)
  SIDING_COUNT(25, SIDING_16, SIDING_8, SIDING_1)
  SIDING_COUNT(26, SIDING_16, SIDING_8, SIDING_2)
  SIDING_COUNT(27, SIDING_16, SIDING_8, SIDING_2, SIDING_1)
  SIDING_COUNT(28, SIDING_16, SIDING_8, SIDING_4)
  SIDING_COUNT(29, SIDING_16, SIDING_8, SIDING_4, SIDING_1)
  SIDING_COUNT(30, SIDING_16, SIDING_8, SIDING_4, SIDING_2)
  SIDING_COUNT(31, SIDING_16, SIDING_8, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(32, SIDING_32)
  SIDING_COUNT(33, SIDING_32, SIDING_1)
  SIDING_COUNT(34, SIDING_32, SIDING_2)
  SIDING_COUNT(35, SIDING_32, SIDING_2, SIDING_1)
  SIDING_COUNT(36, SIDING_32, SIDING_4)
  SIDING_COUNT(37, SIDING_32, SIDING_4, SIDING_1)
  SIDING_COUNT(38, SIDING_32, SIDING_4, SIDING_2)
  SIDING_COUNT(39, SIDING_32, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(40, SIDING_32, SIDING_8)
  SIDING_COUNT(41, SIDING_32, SIDING_8, SIDING_1)
  SIDING_COUNT(42, SIDING_32, SIDING_8, SIDING_2)
  SIDING_COUNT(43, SIDING_32, SIDING_8, SIDING_2, SIDING_1)
  SIDING_COUNT(44, SIDING_32, SIDING_8, SIDING_4)
  SIDING_COUNT(45, SIDING_32, SIDING_8, SIDING_4, SIDING_1)
  SIDING_COUNT(46, SIDING_32, SIDING_8, SIDING_4, SIDING_2)
  SIDING_COUNT(47, SIDING_32, SIDING_8, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(48, SIDING_32, SIDING_16)
  SIDING_COUNT(49, SIDING_32, SIDING_16, SIDING_1)
  SIDING_COUNT(50, SIDING_32, SIDING_16, SIDING_2)
  SIDING_COUNT(51, SIDING_32, SIDING_16, SIDING_2, SIDING_1)
  SIDING_COUNT(52, SIDING_32, SIDING_16, SIDING_4)
  SIDING_COUNT(53, SIDING_32, SIDING_16, SIDING_4, SIDING_1)
  SIDING_COUNT(54, SIDING_32, SIDING_16, SIDING_4, SIDING_2)
  SIDING_COUNT(55, SIDING_32, SIDING_16, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(56, SIDING_32, SIDING_16, SIDING_8)
  SIDING_COUNT(57, SIDING_32, SIDING_16, SIDING_8, SIDING_1)
  SIDING_COUNT(58, SIDING_32, SIDING_16, SIDING_8, SIDING_2)
  SIDING_COUNT(59, SIDING_32, SIDING_16, SIDING_8, SIDING_2, SIDING_1)
  SIDING_COUNT(60, SIDING_32, SIDING_16, SIDING_8, SIDING_4)
  SIDING_COUNT(61, SIDING_32, SIDING_16, SIDING_8, SIDING_4, SIDING_1)
  SIDING_COUNT(62, SIDING_32, SIDING_16, SIDING_8, SIDING_4, SIDING_2)
  SIDING_COUNT(63, SIDING_32, SIDING_16, SIDING_8, SIDING_4, SIDING_2, SIDING_1)
  SIDING_COUNT(64, SIDING_64) { return most_fields + 1; }
}

#undef SIDING_1
#undef SIDING_2
#undef SIDING_4
#undef SIDING_8
#undef SIDING_16
#undef SIDING_32
#undef SIDING_64
#undef SIDING_COUNT

#define SIDING_VISIT(...)        \
  {                              \
    auto& [__VA_ARGS__] = value; \
    return visit(__VA_ARGS__);   \
  }

/// Calls `visit(fields...)` with the fields of `value`, as lvalues, and returns what it returns.
template <class T, class Visit>
constexpr decltype(auto) visit_fields(T& value, Visit&& visit) {
  constexpr int count = field_count<std::remove_const_t<T>>();
  static_assert(0 <= count && count <= most_fields);
  // clang-format off
  if constexpr (count == 0) {
    return visit();
  }
  else if constexpr (count == 1) SIDING_VISIT(f0)
  else if constexpr (count == 2) SIDING_VISIT(f0, f1)
  else if constexpr (count == 3) SIDING_VISIT(f0, f1, f2)
  else if constexpr (count == 4) SIDING_VISIT(f0, f1, f2, f3)
  else if constexpr (count == 5) SIDING_VISIT(f0, f1, f2, f3, f4)
  else if constexpr (count == 6) SIDING_VISIT(f0, f1, f2, f3, f4, f5)
  else if constexpr (count == 7) SIDING_VISIT(f0, f1, f2, f3, f4, f5, f6)
  else if constexpr (count == 8) SIDING_VISIT(f0, f1, f2, f3, f4, f5, f6, f7)
  else if constexpr (count == 9) SIDING_VISIT(f0, f1, f2, f3, f4, f5, f6, f7, f8)
  else if constexpr (count == 10) SIDING_VISIT(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9)
  else if constexpr (count == 11) SIDING_VISIT(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10)
  else if constexpr (count == 12) SIDING_VISIT(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11)
  else if constexpr (count == 13) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12)
  else if constexpr (count == 14) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13)
  else if constexpr (count == 15) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14)
  else if constexpr (count == 16) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15)
  else if constexpr (count == 17) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16)
  else if constexpr (count == 18) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17)
  else if constexpr (count == 19) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18)
  else if constexpr (count == 20) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19)
  else if constexpr (count == 21) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20)
  else if constexpr (count == 22) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21)
  else if constexpr (count == 23) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22)
  else if constexpr (count == 24) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23)
  else if constexpr (count == 25) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24)
  else if constexpr (count == 26) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25)
  else if constexpr (count == 27) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26)
  else if constexpr (count == 28) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27)
  else if constexpr (count == 29) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28)
  else if constexpr (count == 30) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29)
  else if constexpr (count == 31) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30)
  else if constexpr (count == 32) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31)
  else if constexpr (count == 33) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32)
  else if constexpr (count == 34) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33)
  else if constexpr (count == 35) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34)
  else if constexpr (count == 36) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35)
  else if constexpr (count == 37) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36)
  else if constexpr (count == 38) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37)
  else if constexpr (count == 39) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37, f38)
  else if constexpr (count == 40) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39)
  else if constexpr (count == 41) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40)
  else if constexpr (count == 42) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41)
  else if constexpr (count == 43) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42)
  else if constexpr (count == 44) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43)
  else if constexpr (count == 45) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44)
  else if constexpr (count == 46) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45)
  else if constexpr (count == 47) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46)
  else if constexpr (count == 48) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47)
  else if constexpr (count == 49) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48)
  else if constexpr (count == 50) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49)
  else if constexpr (count == 51) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50)
  else if constexpr (count == 52) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51)
  else if constexpr (count == 53) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52)
  else if constexpr (count == 54) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53)
  else if constexpr (count == 55) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54)
  else if constexpr (count == 56) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55)
  else if constexpr (count == 57) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55, f56)
  else if constexpr (count == 58) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57)
  else if constexpr (count == 59) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57, f58)
  else if constexpr (count == 60) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57, f58, f59)
  else if constexpr (count == 61) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57, f58, f59, f60)
  else if constexpr (count == 62) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57, f58, f59, f60, f61)
  else if constexpr (count == 63) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57, f58, f59, f60, f61, f62)
  else if constexpr (count == 64) SIDING_VISIT(
      f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
      f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37,
      f38, f39, f40, f41, f42, f43, f44, f45, f46, f47, f48, f49, f50, f51, f52, f53, f54, f55,
      f56, f57, f58, f59, f60, f61, f62, f63)
  // clang-format on
}

#undef SIDING_VISIT

template <class T>
struct FieldsOf {
  using type = decltype(visit_fields(std::declval<T&>(),
                                     []<class... F>(F&...) { return TypeList<F...>(); }));
};
/// The types of the fields of an aggregate, as a TypeList.
template <class T>
using fields_of_t = typename FieldsOf<T>::type;

template <class... F>
consteval bool all_assignable(TypeList<F...>) {
  return (std::is_move_assignable_v<std::remove_all_extents_t<F>> && ...);
}

/// What keeps an aggregate from being taken apart.
template <class T>
consteval Refusal aggregate_refusal() {
  if constexpr (HasBases<T>) {
    return Refusal::an_aggregate_with_a_base_class;
  } else if constexpr (field_count<T>() == fields_not_empty) {
    return Refusal::an_aggregate_that_cannot_be_made_empty;
  } else if constexpr (field_count<T>() > most_fields) {
    return Refusal::an_aggregate_of_more_than_64_fields;
  } else if constexpr (!all_assignable(fields_of_t<T>())) {
    return Refusal::an_aggregate_with_a_field_that_cannot_be_assigned;
  } else {
    return Refusal::none;
  }
}

}  // namespace siding::detail
