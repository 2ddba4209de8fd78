// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/remote_exception.hpp>
#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>
#include <siding/export.hpp>

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <system_error>

// The codecs of errors that are values.

namespace siding::detail {

/// Throws: NotPortable for a category that is not the standard library's: it is an object of a process.
SIDING_EXPORT void write_error_code(WireWriter& writer, const std::error_code& code);
/// Throws: SerializationError.
SIDING_EXPORT std::error_code read_error_code(WireReader& reader);

template <>
struct Codec<std::error_code> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint8_t) + sizeof(int);

  static void write(WireWriter& writer, const std::error_code& value) {
    write_error_code(writer, value);
  }
  static std::error_code read(WireReader& reader) { return read_error_code(reader); }
};
template <>
struct Codec<std::error_condition> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = Codec<std::error_code>::min_size;

  static void write(WireWriter& writer, const std::error_condition& value) {
    write_error_code(writer, {value.value(), value.category()});
  }
  static std::error_condition read(WireReader& reader) {
    const std::error_code code = read_error_code(reader);
    return {code.value(), code.category()};
  }
};

/// As what a call throws: with its chain, and as itself where its type is known.
template <>
struct Codec<std::exception_ptr> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = 1;

  static void write(WireWriter& writer, const std::exception_ptr& value) {
    writer.value(value != nullptr);
    if (value == nullptr) return;
    writer.value(::getpid());
    encode_exception(writer, value);
  }
  static std::exception_ptr read(WireReader& reader) {
    if (!read_bool(reader)) return nullptr;
    const auto pid = reader.value<pid_t>();
    return decode_exception(reader, pid, {});
  }
};

}  // namespace siding::detail
