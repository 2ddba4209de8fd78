// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_adaptors.hpp>
#include <siding/detail/wire_argument.hpp>
#include <siding/detail/wire_calendar.hpp>
#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_containers.hpp>
#include <siding/detail/wire_errors.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>
#include <siding/detail/wire_values.hpp>

#include <cstddef>
#include <span>
#include <vector>

// What can cross to another process, and how.
//
// Numbers, enumerations, strings, the containers and values of the standard library, functions, and
// aggregates of all these need nothing. Another class needs one hidden friend for both directions,
//
//   template <class Archive>
//   friend void siding_fields(Archive& archive, MyType& value) { archive(value.a, value.b); }
//
// and a default constructor; or, for full control, a specialisation of siding::Wire. An aggregate
// has at most 64 fields, no base class, no bit-field and no anonymous union.
//
// What refers to something in this process does not cross: pointers, references, reference_wrapper,
// span, string_view, shared_ptr, std::function, closures with captures. As arguments of a call,
// `const char*` and string_view do.
//
// The bytes are those of this machine and this build: they are for pipes and shared memory between
// processes of one program, not for files.

namespace siding {

/// A type whose values can cross to another process.
template <class T>
concept Portable = detail::portable_v<T>;

/// The bytes that the values take together.
template <Portable... T>
[[nodiscard]] std::size_t wire_size(const T&... values) {
  WireWriter counter;
  (counter.value(values), ...);
  return counter.size();
}

/// The values as bytes of their own.
template <Portable... T>
[[nodiscard]] std::vector<std::byte> to_wire(const T&... values) {
  std::vector<std::byte> bytes(wire_size(values...));
  WireWriter writer(bytes);
  (writer.value(values), ...);
  return bytes;
}

/// The value that `bytes` hold.
/// Throws: SerializationError if they do not hold a `T`, or more than that.
template <Portable T>
[[nodiscard]] T from_wire(std::span<const std::byte> bytes) {
  WireReader reader(bytes);
  T value = reader.value<T>();
  reader.expect_end();
  return value;
}

}  // namespace siding
