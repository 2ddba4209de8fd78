// SPDX-License-Identifier: MIT
#include <siding/detail/wire_stream.hpp>

#include <siding/error.hpp>

#include <fmt/format.h>

namespace siding::detail {

void throw_wire_overrun(std::size_t measured) {
  throw SerializationError(fmt::format(
      "a value wrote more than it had measured, {} bytes with those before it: its hook "
      "must write the same each time",
      measured));
}

void throw_wire_cut_short(std::size_t wanted, std::size_t left) {
  throw SerializationError(
      fmt::format("a message is cut short: {} bytes wanted, {} left", wanted, left));
}

void throw_wire_length(std::uint64_t length, std::size_t left) {
  throw SerializationError(fmt::format(
      "a message is damaged: {} elements cannot be in the {} bytes left", length, left));
}

void throw_wire_left_over(std::size_t left) {
  throw SerializationError(fmt::format("a message is too long: {} bytes are left over", left));
}

void throw_wire_error(const char* text) { throw SerializationError(text); }

}  // namespace siding::detail
