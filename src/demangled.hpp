// SPDX-License-Identifier: MIT
#pragma once

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace siding::detail {

/// The name of a type or function for people; the symbol itself if it is not a mangled one.
inline std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : symbol;
}

/// Of an exception's type: of the one that was given to std::throw_with_nested, not the one it made of it.
inline std::string demangled_error(const char* symbol) {
  std::string name = demangled(symbol);
  constexpr std::string_view wrapper = "std::_Nested_exception<";
  if (name.starts_with(wrapper) && name.ends_with('>')) {
    name = name.substr(wrapper.size(), name.size() - wrapper.size() - 1);
    while (name.ends_with(' ')) name.pop_back();
  }
  return name;
}

}  // namespace siding::detail
