// SPDX-License-Identifier: MIT
#include "stack_text.hpp"

#include "demangled.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>

#include <cstdint>
#include <iterator>

namespace siding::detail {

void StackTrace::prepare() noexcept {
  void* frame = nullptr;
  ::backtrace(&frame, 1);
}

void StackTrace::capture() noexcept {
  const int count = ::backtrace(frames_.data(), static_cast<int>(frames_.size()));
  size_ = count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::string StackTrace::text(std::size_t skip) const {
  std::string lines;
  for (std::size_t i = skip; i < size_; ++i) {
    Dl_info module{};
    if (::dladdr(frames_[i], &module) == 0 || module.dli_fname == nullptr) {
      fmt::format_to(std::back_inserter(lines), "    {}\n", frames_[i]);
      continue;
    }
    // Of a caller, the address is that of the return: addr2line wants the one before.
    const auto offset = reinterpret_cast<std::uintptr_t>(frames_[i]) -
                        reinterpret_cast<std::uintptr_t>(module.dli_fbase);
    fmt::format_to(std::back_inserter(lines), "    {} ({}+{:#x})\n",
                   module.dli_sname != nullptr ? demangled(module.dli_sname) : "?",
                   module.dli_fname, offset);
  }
  return lines;
}

}  // namespace siding::detail
