// SPDX-License-Identifier: MIT
#include <siding/detail/portable_call.hpp>

#include "demangled.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>


namespace siding::detail {

std::string type_name(const std::type_info& type) {
  return demangled(type.name());
}

std::string not_portable_text(const std::type_info& function, std::string_view part,
                              const std::type_info& type, std::string_view reason) {
  return fmt::format("a call of {} cannot cross to another process: {}, {}, is or holds {}",
                     type_name(function), part, type_name(type), reason);
}

std::string stays_local_text(const std::type_info& function) {
  return fmt::format(
      "a call of {} was made for threads, by to_thread or on a ThreadPool or the default executor, "
      "and cannot cross to another process: use offload() or run_in_executor() with the process "
      "pool, or to_process()",
      type_name(function));
}

namespace {

[[noreturn]] void throw_in_place(std::string_view what) {
  try {
    throw;
  } catch (const SerializationError&) {
    throw;
  } catch (...) {
    throw SerializationError(fmt::format("{}: {}", what, describe(std::current_exception())));
  }
}

}  // namespace

void throw_unreadable_arguments() {
  throw_in_place("the arguments of a call could not be read in the worker");
}
void throw_unwritable_result() {
  throw_in_place("the result of a call could not be written in the worker");
}

}  // namespace siding::detail
