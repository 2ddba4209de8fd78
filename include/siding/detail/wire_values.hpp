// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>

#include <algorithm>
#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

// The codecs of the standard library's values: those that are no containers.

namespace siding::detail {

/// Says why a template of the standard library does not cross.
template <Refusal because>
struct Refused {
  static constexpr Refusal refusal = because;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 0;
};
template <class T>
struct Codec<std::reference_wrapper<T>> : Refused<Refusal::a_reference_wrapper> {};
template <class T>
struct Codec<std::shared_ptr<T>> : Refused<Refusal::a_shared_ptr> {};
template <class T>
struct Codec<std::weak_ptr<T>> : Refused<Refusal::a_shared_ptr> {};
template <class T, std::size_t n>
struct Codec<std::span<T, n>> : Refused<Refusal::a_span> {};
template <class C, class Traits>
struct Codec<std::basic_string_view<C, Traits>>
    : Refused<Refusal::a_string_view_that_is_no_argument> {};
template <class F>
struct Codec<std::function<F>> : Refused<Refusal::a_std_function> {};
template <class D>
struct Codec<std::unique_ptr<D[]>> : Refused<Refusal::a_pointer_to_an_array> {};
template <class T, class Deleter>
struct Codec<std::unique_ptr<T, Deleter>> : Refused<Refusal::a_pointer_with_a_deleter> {};

template <class A, class B>
struct Codec<std::pair<A, B>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<A, B>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = min_size_v<A> + min_size_v<B>;

  static void write(WireWriter& writer, const std::pair<A, B>& value) {
    writer.value(value.first);
    writer.value(value.second);
  }
  static std::pair<A, B> read(WireReader& reader) {
    // Braces, because they fix the order.
    return std::pair<A, B>{reader.value<std::remove_const_t<A>>(),
                           reader.value<std::remove_const_t<B>>()};
  }
};

template <class... T>
struct Codec<std::tuple<T...>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T...>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = (0 + ... + min_size_v<T>);

  static void write(WireWriter& writer, const std::tuple<T...>& value) {
    std::apply([&writer](const auto&... elements) { (writer.value(elements), ...); }, value);
  }
  static std::tuple<T...> read([[maybe_unused]] WireReader& reader) {
    return std::tuple<T...>{reader.value<std::remove_const_t<T>>()...};
  }
};

template <class T, std::size_t n>
struct Codec<std::array<T, n>> {
  static constexpr Refusal refusal = std::is_default_constructible_v<T>
                                         ? Refusal::none
                                         : Refusal::an_array_of_a_class_without_default_constructor;
  using parts = TypeList<T>;
  static constexpr bool plain = plain_v<T> && sizeof(std::array<T, n>) == n * sizeof(T);
  static constexpr std::size_t min_size = n * min_size_v<T>;

  static void write(WireWriter& writer, const std::array<T, n>& value) {
    if constexpr (plain) {
      writer.bytes(value.data(), sizeof value);
    } else {
      for (const T& element : value)
        writer.value(element);
    }
  }
  static std::array<T, n> read(WireReader& reader) {
    std::array<T, n> value{};
    if constexpr (plain) {
      std::memcpy(static_cast<void*>(value.data()), reader.take(sizeof value), sizeof value);
    } else {
      for (T& element : value)
        element = reader.value<T>();
    }
    return value;
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 1;

  static void write(WireWriter& writer, const std::optional<T>& value) {
    writer.value(value.has_value());
    if (value.has_value()) writer.value(*value);
  }
  static std::optional<T> read(WireReader& reader) {
    if (!read_bool(reader)) return std::nullopt;
    return std::optional<T>(std::in_place, reader.value<T>());
  }
};

template <class T>
struct Codec<std::unique_ptr<T>> {
  // Of a derived object only the base would cross; without a virtual function there is none.
  static consteval Refusal refusal_of_pointer() {
    if constexpr (std::is_polymorphic_v<T> && !std::is_final_v<T>) {
      return Refusal::a_pointer_to_a_polymorphic_class;
    } else {
      return Refusal::none;
    }
  }
  static constexpr Refusal refusal = refusal_of_pointer();
  using parts = TypeList<T>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 1;

  static void write(WireWriter& writer, const std::unique_ptr<T>& value) {
    writer.value(value != nullptr);
    if (value != nullptr) writer.value(*value);
  }
  static std::unique_ptr<T> read(WireReader& reader) {
    if (!read_bool(reader)) return nullptr;
    return std::make_unique<T>(reader.value<std::remove_const_t<T>>());
  }
};

template <class... T>
struct Codec<std::variant<T...>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T...>;
  using Index = std::conditional_t<(sizeof...(T) <= 256), std::uint8_t, std::uint32_t>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(Index) + std::min({min_size_v<T>...});

  static void write(WireWriter& writer, const std::variant<T...>& value) {
    if (value.valueless_by_exception())
      throw_wire_error("a variant without a value cannot be written");
    writer.value(static_cast<Index>(value.index()));
    std::visit([&writer](const auto& alternative) { writer.value(alternative); }, value);
  }
  static std::variant<T...> read(WireReader& reader) {
    return read_alternative<0>(reader, reader.value<Index>());
  }

 private:
  template <std::size_t index>
  static std::variant<T...> read_alternative(WireReader& reader, std::size_t wanted) {
    if constexpr (index == sizeof...(T)) {
      throw_wire_error("a message is damaged: a variant has no such alternative");
    } else {
      if (wanted != index) return read_alternative<index + 1>(reader, wanted);
      using Alternative = std::variant_alternative_t<index, std::variant<T...>>;
      return std::variant<T...>(std::in_place_index<index>, reader.value<Alternative>());
    }
  }
};

template <class Rep, class Period>
struct Codec<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<Rep>;
  static constexpr bool plain =
      plain_v<Rep> && std::is_trivially_copyable_v<Duration> && sizeof(Duration) == sizeof(Rep);
  static constexpr std::size_t min_size = min_size_v<Rep>;

  static void write(WireWriter& writer, const Duration& value) { writer.value(value.count()); }
  static Duration read(WireReader& reader) { return Duration(reader.value<Rep>()); }
};

/// Processes of one machine have the same clocks, the steady one included.
template <class Clock, class Duration>
struct Codec<std::chrono::time_point<Clock, Duration>> {
  using TimePoint = std::chrono::time_point<Clock, Duration>;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<Duration>;
  static constexpr bool plain = plain_v<Duration> && std::is_trivially_copyable_v<TimePoint> &&
                                sizeof(TimePoint) == sizeof(Duration);
  static constexpr std::size_t min_size = min_size_v<Duration>;

  static void write(WireWriter& writer, const TimePoint& value) {
    writer.value(value.time_since_epoch());
  }
  static TimePoint read(WireReader& reader) { return TimePoint(reader.value<Duration>()); }
};

template <class T>
struct Codec<std::complex<T>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T>;
  static constexpr bool plain = plain_v<T> && std::is_trivially_copyable_v<std::complex<T>> &&
                                sizeof(std::complex<T>) == 2 * sizeof(T);
  static constexpr std::size_t min_size = 2 * min_size_v<T>;

  static void write(WireWriter& writer, const std::complex<T>& value) {
    writer.value(value.real());
    writer.value(value.imag());
  }
  static std::complex<T> read(WireReader& reader) {
    const T real = reader.value<T>();
    return std::complex<T>(real, reader.value<T>());
  }
};

template <std::size_t n>
struct Codec<std::bitset<n>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;  // it has bits that must be zero
  static constexpr std::size_t min_size = (n + 7) / 8;

  static void write(WireWriter& writer, const std::bitset<n>& value) {
    for (std::size_t begin = 0; begin < n; begin += 8) {
      unsigned byte = 0;
      for (std::size_t i = begin; i < std::min(n, begin + 8); ++i)
        byte |= static_cast<unsigned>(value[i]) << (i - begin);
      writer.value(static_cast<unsigned char>(byte));
    }
  }
  static std::bitset<n> read(WireReader& reader) {
    std::bitset<n> value;
    for (std::size_t begin = 0; begin < n; begin += 8) {
      const auto byte = reader.value<unsigned char>();
      for (std::size_t i = begin; i < std::min(n, begin + 8); ++i)
        value[i] = ((byte >> (i - begin)) & 1U) != 0;
    }
    return value;
  }
};

template <>
struct Codec<std::filesystem::path> {
  using Text = std::filesystem::path::string_type;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const std::filesystem::path& value) {
    const Text& text = value.native();
    writer.length(text.size());
    writer.bytes(text.data(), text.size());
  }
  static std::filesystem::path read(WireReader& reader) {
    const std::size_t count = reader.length(1);
    const std::byte* bytes = reader.take(count);
    return Text(reinterpret_cast<const char*>(bytes), count);
  }
};

}  // namespace siding::detail
