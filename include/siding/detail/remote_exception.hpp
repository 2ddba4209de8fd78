// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_stream.hpp>
#include <siding/export.hpp>

#include <sys/types.h>

#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace siding::detail {

/// An exception type that arrives as itself. One for each type, never destroyed.
struct ErrorType {
  const std::type_info* type;
  /// What `std::throw_with_nested` makes of it; null if it makes nothing of it.
  const std::type_info* nested_type;
  /// Writes what `decode` needs besides the text. `error` holds a `type` or a `nested_type`.
  void (*encode)(WireWriter& writer, const std::exception_ptr& error);
  /// Throws the error, as `std::throw_with_nested` does if `nested` is set.
  void (*raise)(WireReader& reader, const std::string& text, bool nested);
  /// The types registered before; written once, at the registration.
  const ErrorType* next = nullptr;
};

/// Thread safety: any thread.
SIDING_EXPORT void register_error(ErrorType& type) noexcept;

#if defined(__GLIBCXX__)
template <class E>
const std::type_info* nested_type_of() noexcept {
  if constexpr (std::is_class_v<E> && !std::is_final_v<E> &&
                !std::is_base_of_v<std::nested_exception, E>) {
    return &typeid(std::_Nested_exception<E>);
  } else {
    return nullptr;
  }
}
#else
// Elsewhere the type has another name; such errors become RemoteErrors with their chain.
template <class E>
const std::type_info* nested_type_of() noexcept {
  return nullptr;
}
#endif

template <class E>
[[noreturn]] void raise_as(E&& error, bool nested) {
  if (nested) std::throw_with_nested(std::forward<E>(error));
  throw std::forward<E>(error);
}

/// An error with its chain of nested ones, as bytes. Where a part of it cannot be written, its type
/// and its text are. At most 32 errors deep; the rest of a chain is left out.
///
/// Throws: std::bad_alloc.
SIDING_EXPORT std::vector<std::byte> encode_exception(const std::exception_ptr& error);

/// The same to a writer that stands anywhere in a message. It is called for each pass.
SIDING_EXPORT void encode_exception(WireWriter& writer, const std::exception_ptr& error);

/// The error that was written: of its own type if that is one of the standard library, of siding,
/// or registered here; else, or if its decoder throws, a RemoteError.
///
/// Parameters:
///   pid   the process that sent it.
///   call  the name of the call; may be empty.
/// Throws: SerializationError if the bytes are no error; std::bad_alloc.
SIDING_EXPORT std::exception_ptr decode_exception(WireReader& reader, pid_t pid,
                                                  std::string_view call);
SIDING_EXPORT std::exception_ptr decode_exception(std::span<const std::byte> bytes, pid_t pid,
                                                  std::string_view call);

}  // namespace siding::detail
