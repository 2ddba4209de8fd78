// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>

#include <chrono>
#include <cstddef>

// The codecs of dates. A date that does not exist crosses too: `ok()` tells, as it does elsewhere.

namespace siding::detail {

/// Of those that are one number.
template <class T, class Number>
struct CalendarCodec {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(Number);

  static void write(WireWriter& writer, const T& value) {
    if constexpr (requires { value.c_encoding(); }) {
      writer.value(static_cast<Number>(value.c_encoding()));
    } else {
      writer.value(static_cast<Number>(value));
    }
  }
  static T read(WireReader& reader) { return T(reader.value<Number>()); }
};
template <>
struct Codec<std::chrono::day> : CalendarCodec<std::chrono::day, unsigned> {};
template <>
struct Codec<std::chrono::month> : CalendarCodec<std::chrono::month, unsigned> {};
template <>
struct Codec<std::chrono::year> : CalendarCodec<std::chrono::year, int> {};
template <>
struct Codec<std::chrono::weekday> : CalendarCodec<std::chrono::weekday, unsigned> {};

template <>
struct Codec<std::chrono::year_month_day> {
  using Date = std::chrono::year_month_day;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 3 * sizeof(int);

  static void write(WireWriter& writer, const Date& value) {
    writer.value(value.year());
    writer.value(value.month());
    writer.value(value.day());
  }
  static Date read(WireReader& reader) {
    // Braces, because they fix the order.
    return Date{reader.value<std::chrono::year>(), reader.value<std::chrono::month>(),
                reader.value<std::chrono::day>()};
  }
};

}  // namespace siding::detail
