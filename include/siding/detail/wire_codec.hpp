// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/code_identity.hpp>
#include <siding/detail/wire_fields.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

// The codecs of what has no template of its own: numbers, functions, classes with a hook,
// aggregates.

namespace siding {

namespace detail {

/// Reads a field where it is; the only way for an array.
template <class Field>
void read_into(WireReader& reader, Field& field) {
  if constexpr (plain_v<Field>) {
    std::memcpy(static_cast<void*>(&field), reader.take(sizeof field), sizeof field);
  } else if constexpr (std::is_array_v<Field>) {
    for (auto& element : field)
      read_into(reader, element);
  } else {
    field = reader.value<Field>();
  }
}

template <class Field>
void write_field(WireWriter& writer, const Field& field) {
  if constexpr (plain_v<Field>) {
    writer.bytes(&field, sizeof field);
  } else if constexpr (std::is_array_v<Field>) {
    for (const auto& element : field)
      write_field(writer, element);
  } else {
    Codec<Field>::write(writer, field);
  }
}

template <class... Field>
void FieldReader::operator()(Field&... fields) {
  static_assert((require_portable<std::remove_all_extents_t<Field>> && ...));
  (read_into(reader, fields), ...);
}

inline bool read_bool(WireReader& reader) {
  const auto byte = static_cast<unsigned char>(*reader.take(1));
  if (byte > 1) [[unlikely]]
    throw_wire_error("a message is damaged: a bool is neither true nor false");
  return byte != 0;
}

template <Scalar T>
struct Codec<T> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  // An enumeration of bool has invalid values, as bool has.
  static constexpr bool is_bool = [] {
    if constexpr (std::is_enum_v<T>) {
      return std::is_same_v<std::underlying_type_t<T>, bool>;
    } else {
      return std::is_same_v<T, bool>;
    }
  }();
  // The extended format of x87: 10 bytes and padding.
  static constexpr std::size_t used = std::is_same_v<T, long double> && sizeof(T) == 16 &&
                                              std::numeric_limits<long double>::digits == 64
                                          ? 10
                                          : sizeof(T);
  static constexpr bool plain = !is_bool && used == sizeof(T);
  static constexpr std::size_t min_size = used;

  static void write(WireWriter& writer, const T& value) { writer.bytes(&value, used); }
  static T read(WireReader& reader) {
    if constexpr (is_bool) {
      return static_cast<T>(read_bool(reader));
    } else {
      T value{};
      std::memcpy(&value, reader.take(used), used);
      return value;
    }
  }
};

/// A function: nothing, or where its code is.
template <class T>
requires is_function_pointer_v<T>
struct Codec<T> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 1;

  static void write(WireWriter& writer, T value) {
    writer.value(value != nullptr);
    if (value != nullptr) writer.value(code_id_of(reinterpret_cast<const void*>(value), typeid(T)));
  }
  static T read(WireReader& reader) {
    if (!read_bool(reader)) return nullptr;
    return reinterpret_cast<T>(const_cast<void*>(code_at(reader.value<CodeId>())));
  }
};

/// The two words of a pointer to a member function in the Itanium ABI.
struct MemberFunctionWords {
  std::uintptr_t function;  // its address, or its place in the virtual table
  std::ptrdiff_t adjustment;

// 32-bit and 64-bit ARM use the lowest bit of an address, and so mark virtual functions in the
// other word.
#if defined(__arm__) || defined(__aarch64__)
  bool is_virtual() const { return (adjustment & 1) != 0; }
#else
  bool is_virtual() const { return (function & 1) != 0; }
#endif
};

template <class T>
requires std::is_member_function_pointer_v<T>
struct Codec<T> {
  static_assert(sizeof(T) == sizeof(MemberFunctionWords));
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 1;

  enum Kind : unsigned char { null, direct, by_table };

  static void write(WireWriter& writer, T value) {
    if (value == nullptr) return writer.value(null);
    const auto words = std::bit_cast<MemberFunctionWords>(value);
    writer.value(words.is_virtual() ? by_table : direct);
    if (words.is_virtual()) {
      writer.value(words.function);
    } else {
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      writer.value(code_id_of(reinterpret_cast<const void*>(words.function), typeid(T)));
    }
    writer.value(words.adjustment);
  }
  static T read(WireReader& reader) {
    MemberFunctionWords words{};
    const auto kind = reader.value<unsigned char>();
    if (kind == null) return nullptr;
    if (kind == by_table) {
      words.function = reader.value<std::uintptr_t>();
    } else if (kind == direct) {
      words.function = reinterpret_cast<std::uintptr_t>(code_at(reader.value<CodeId>()));
    } else {
      throw_wire_error("a message is damaged: it has an unknown kind of member function");
    }
    words.adjustment = reader.value<std::ptrdiff_t>();
    if (words.is_virtual() != (kind == by_table))
      throw_wire_error("a message is damaged: a member function is not of its kind");
    return std::bit_cast<T>(words);
  }
};

/// `siding::Wire<T>`, or the friend `siding_fields`. The first goes before.
template <Hooked T>
struct Codec<T> {
  static constexpr Refusal refusal =
      HasWire<T> || std::is_default_constructible_v<T>
          ? Refusal::none
          : Refusal::a_class_with_siding_fields_but_no_default_constructor;
  using parts = TypeList<>;  // the hook says what they are when it is compiled
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 0;  // not known

  static void write(WireWriter& writer, const T& value) {
    const WireLevel level(writer);
    if constexpr (HasWire<T>) {
      Wire<T>::write(writer, value);
    } else {
      FieldWriter fields{writer};
      // One function serves both directions, so it takes what it might change.
      siding_fields(fields, const_cast<T&>(value));
    }
  }
  static T read(WireReader& reader) {
    const WireLevel level(reader);
    if constexpr (HasWire<T>) {
      return Wire<T>::read(reader);
    } else {
      T value{};
      FieldReader fields{reader};
      siding_fields(fields, value);
      return value;
    }
  }
};

template <class T, Refusal because>
struct AggregateTraits {
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 0;
};
template <class T>
struct AggregateTraits<T, Refusal::none> {
  using parts = fields_of_t<T>;

  template <class... F>
  static consteval bool is_plain(TypeList<F...>) {
    return std::is_trivially_copyable_v<T> && (plain_v<F> && ...) &&
           (0 + ... + sizeof(F)) == sizeof(T);
  }
  template <class... F>
  static consteval std::size_t sum(TypeList<F...>) {
    return (0 + ... + min_size_v<F>);
  }
  static constexpr bool plain = is_plain(parts());
  static constexpr std::size_t min_size = sum(parts());
};

template <Reflected T>
struct Codec<T> : AggregateTraits<T, aggregate_refusal<T>()> {
  static constexpr Refusal refusal = aggregate_refusal<T>();

  static void write(WireWriter& writer, const T& value) {
    if constexpr (Codec::plain) {
      writer.bytes(&value, sizeof value);
    } else {
      const WireLevel level(writer);
      visit_fields(value, [&writer](const auto&... fields) { (write_field(writer, fields), ...); });
    }
  }
  static T read(WireReader& reader) {
    T value{};
    if constexpr (Codec::plain) {
      std::memcpy(static_cast<void*>(&value), reader.take(sizeof value), sizeof value);
    } else {
      const WireLevel level(reader);
      visit_fields(value, [&reader](auto&... fields) { (read_into(reader, fields), ...); });
    }
    return value;
  }
};

template <Blank T>
struct Codec<T> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 0;
  static void write(WireWriter&, const T&) {}
  static T read(WireReader&) { return T(); }
};

}  // namespace detail

template <class T>
void WireWriter::value(const T& value) {
  static_assert(detail::require_portable<std::remove_all_extents_t<T>>);
  detail::write_field(*this, value);
}

template <class T>
T WireReader::value() {
  static_assert(detail::require_portable<T>);
  return detail::Codec<T>::read(*this);
}

}  // namespace siding
