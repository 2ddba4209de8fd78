// SPDX-License-Identifier: MIT
#include "standard_errors.hpp"

#include <siding/cancellation.hpp>
#include <siding/error.hpp>
#include <siding/io_uring_unavailable.hpp>
#include <siding/wire.hpp>

#include <any>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <variant>

namespace siding::detail {

namespace {

void encode_nothing(WireWriter&, const std::exception_ptr&) {}

// Of those that are made of a text alone.
template <class E>
ErrorType with_text() {
  return {&typeid(E), nested_type_of<E>(), encode_nothing,
          [](WireReader&, const std::string& text, bool nested) { raise_as(E(text), nested); }};
}

// Of those that always have the same text.
template <class E>
ErrorType without_text() {
  return {&typeid(E), nested_type_of<E>(), encode_nothing,
          [](WireReader&, const std::string&, bool nested) { raise_as(E(), nested); }};
}

// Of those that have more: `Form::write(writer, error)` and `Form::read(reader, text)`.
template <class E, class Form>
ErrorType with_form() {
  return {&typeid(E), nested_type_of<E>(),
          [](WireWriter& writer, const std::exception_ptr& error) {
            try {
              std::rethrow_exception(error);
            } catch (const E& thrown) {
              Form::write(writer, thrown);
            }
          },
          [](WireReader& reader, const std::string& text, bool nested) {
            raise_as(Form::read(reader, text), nested);
          }};
}

struct CancelledForm {
  static void write(WireWriter& writer, const Cancelled& error) { writer.value(error.reason()); }
  static Cancelled read(WireReader& reader, const std::string&) {
    return Cancelled(reader.value<std::string>());
  }
};

struct RemoteForm {
  static void write(WireWriter& writer, const RemoteError& error) {
    writer.value(error.type_name());
    writer.value(error.message());
    writer.value(error.pid());
    writer.value(error.call());
  }
  static RemoteError read(WireReader& reader, const std::string&) {
    const auto type_name = reader.value<std::string>();
    const auto message = reader.value<std::string>();
    const auto pid = reader.value<pid_t>();
    return RemoteError(type_name, message, pid, reader.value<std::string>());
  }
};

struct OriginForm {
  static void write(WireWriter& writer, const RemoteOrigin& error) {
    writer.value(error.pid());
    writer.value(error.call());
  }
  static RemoteOrigin read(WireReader& reader, const std::string&) {
    const auto pid = reader.value<pid_t>();
    return RemoteOrigin(pid, reader.value<std::string>());
  }
};

// Categories are objects of a process; those of the standard library have a number here. The order
// is part of the message.
using CategoryFunction = const std::error_category& (*)() noexcept;
constexpr std::array<CategoryFunction, 4> categories = {
    std::generic_category, std::system_category, std::iostream_category, std::future_category};

}  // namespace

void write_error_code(WireWriter& writer, const std::error_code& code) {
  for (std::uint8_t i = 0; i < categories.size(); ++i) {
    if (categories[i]() != code.category()) continue;
    writer.value(i);
    writer.value(code.value());
    return;
  }
  throw NotPortable("an error_category that is not one of the standard library");
}
std::error_code read_error_code(WireReader& reader) {
  const auto category = reader.value<std::uint8_t>();
  if (category >= categories.size()) throw SerializationError("an unknown error_category");
  return {reader.value<int>(), categories[category]()};
}

namespace {

// The text that a system_error was made with: without the message of its code, which its
// constructor appends.
std::string own_text(const std::system_error& error) {
  // Not the text of a derived class.
  std::string_view text = error.std::system_error::what();
  const std::string message = error.code().message();
  if (text.ends_with(message)) text.remove_suffix(message.size());
  if (text.ends_with(": ")) text.remove_suffix(2);
  return std::string(text);
}

template <class E>
struct SystemForm {
  static void write(WireWriter& writer, const E& error) {
    write_error_code(writer, error.code());
    writer.value(own_text(error));
  }
  static E read(WireReader& reader, const std::string&) {
    const std::error_code code = read_error_code(reader);
    const auto text = reader.value<std::string>();
    if constexpr (std::is_same_v<E, std::system_error>) {
      return text.empty() ? E(code) : E(code, text);
    } else {
      return E(text, code);
    }
  }
};

struct FilesystemForm {
  using Error = std::filesystem::filesystem_error;
  static void write(WireWriter& writer, const Error& error) {
    write_error_code(writer, error.code());
    writer.value(own_text(error));
    writer.value(error.path1());
    writer.value(error.path2());
  }
  static Error read(WireReader& reader, const std::string&) {
    const std::error_code code = read_error_code(reader);
    const auto text = reader.value<std::string>();
    const auto path1 = reader.value<std::filesystem::path>();
    const auto path2 = reader.value<std::filesystem::path>();
    if (path1.empty()) return {text, code};
    if (path2.empty()) return {text, path1, code};
    return {text, path1, path2, code};
  }
};

struct FutureForm {
  static void write(WireWriter& writer, const std::future_error& error) {
    writer.value(error.code().value());
  }
  static std::future_error read(WireReader& reader, const std::string&) {
    return std::future_error(static_cast<std::future_errc>(reader.value<int>()));
  }
};

struct RegexForm {
  static void write(WireWriter& writer, const std::regex_error& error) {
    writer.value(static_cast<int>(error.code()));
  }
  static std::regex_error read(WireReader& reader, const std::string&) {
    const int code = reader.value<int>();
    if (code < 0 || code > std::regex_constants::error_stack)
      throw SerializationError("an unknown code of a regex_error");
    return std::regex_error(static_cast<std::regex_constants::error_type>(code));
  }
};

struct IoUringForm {
  static void write(WireWriter& writer, const IoUringUnavailable& error) {
    std::string_view problem = error.what();
    if (problem.ends_with(error.advice())) problem.remove_suffix(error.advice().size());
    if (problem.ends_with(". ")) problem.remove_suffix(2);
    writer.value(error.code().value());
    writer.value(error.cause());
    writer.value(std::string(problem));
    writer.value(error.advice());
  }
  static IoUringUnavailable read(WireReader& reader, const std::string&) {
    const int code = reader.value<int>();
    const auto cause = reader.value<IoUringCause>();
    const auto problem = reader.value<std::string>();
    return IoUringUnavailable(code, cause, problem, reader.value<std::string>());
  }
};

}  // namespace

std::span<const ErrorType> standard_errors() noexcept {
  static const ErrorType types[] = {
      without_text<std::exception>(),
      without_text<std::bad_exception>(),
      without_text<std::bad_alloc>(),
      without_text<std::bad_array_new_length>(),
      without_text<std::bad_cast>(),
      without_text<std::bad_any_cast>(),
      without_text<std::bad_typeid>(),
      without_text<std::bad_function_call>(),
      without_text<std::bad_weak_ptr>(),
      without_text<std::bad_optional_access>(),
      without_text<std::bad_variant_access>(),
      with_text<std::logic_error>(),
      with_text<std::invalid_argument>(),
      with_text<std::domain_error>(),
      with_text<std::length_error>(),
      with_text<std::out_of_range>(),
      with_form<std::future_error, FutureForm>(),
      with_text<std::runtime_error>(),
      with_text<std::range_error>(),
      with_text<std::overflow_error>(),
      with_text<std::underflow_error>(),
      with_form<std::regex_error, RegexForm>(),
      with_form<std::system_error, SystemForm<std::system_error>>(),
      with_form<std::ios_base::failure, SystemForm<std::ios_base::failure>>(),
      with_form<std::filesystem::filesystem_error, FilesystemForm>(),
      with_form<Cancelled, CancelledForm>(),
      with_text<TimeoutError>(),
      with_text<ShutdownError>(),
      with_text<QueueFull>(),
      with_text<BrokenExecutor>(),
      with_text<ProcessPoolUnavailable>(),
      with_text<LoopClosed>(),
      with_text<Interrupted>(),
      with_text<BrokenPromise>(),
      with_text<InvalidStateError>(),
      with_text<NoRunningLoop>(),
      with_text<WouldBlockLoop>(),
      with_text<SerializationError>(),
      with_text<NotPortable>(),
      with_form<RemoteError, RemoteForm>(),
      with_form<RemoteOrigin, OriginForm>(),
      with_form<IoUringUnavailable, IoUringForm>(),
  };
  return types;
}

}  // namespace siding::detail
