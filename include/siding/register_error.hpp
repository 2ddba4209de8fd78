// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/remote_exception.hpp>
#include <siding/wire.hpp>

#include <concepts>
#include <exception>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace siding {

/// Has exceptions of type `E` arrive as themselves when a call in another process throws them. The
/// types of the standard library and of siding do so anyway; others arrive as RemoteError.
///
/// At namespace scope, where every process of the program has it:
///
///   inline const siding::RegisterError<MyError> my_error_crosses{};
///
/// `E` crosses as values do: as an aggregate, or by `siding_fields` or `siding::Wire` (wire.hpp).
/// A class without these, such as one that only inherits the constructors of `std::runtime_error`,
/// is made anew of its `what()`.
///
/// Only objects of type `E` itself arrive so, not those of classes derived from it. Types are told
/// apart by name, so two types of one name in anonymous namespaces must not both be registered.
///
/// Thread safety: any thread. Registering a type twice does no harm.
template <class E>
struct RegisterError {
  static_assert(std::is_class_v<E> && std::is_same_v<E, std::remove_cv_t<E>>,
                "register the class that is thrown, by its own name");
  static_assert(Portable<E> || std::constructible_from<E, const std::string&>,
                "an exception that arrives as itself needs siding_fields, a specialisation of "
                "siding::Wire, or a constructor that takes its text");

  RegisterError() { detail::register_error(entry); }

 private:
  static void encode(WireWriter& writer, const std::exception_ptr& error) {
    if constexpr (Portable<E>) {
      try {
        std::rethrow_exception(error);
      } catch (const E& thrown) {
        writer.value(thrown);
      }
    }
  }
  static void raise(WireReader& reader, const std::string& text, bool nested) {
    if constexpr (Portable<E>) {
      detail::raise_as(reader.value<E>(), nested);
    } else {
      detail::raise_as(E(text), nested);
    }
  }

  static inline detail::ErrorType entry{&typeid(E), detail::nested_type_of<E>(), encode, raise};
};

}  // namespace siding
