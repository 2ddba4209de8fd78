// SPDX-License-Identifier: MIT
#include "stack_text.hpp"

#include "demangled.hpp"
#include "symbols.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <iterator>

namespace siding::detail {

namespace {

std::string function_name(const Dl_info& module, const link_map& loaded, std::uintptr_t place) {
  // The program itself has no name in the loader's list, and the one it was called by may have
  // become another file's.
  const bool is_program = loaded.l_name == nullptr || loaded.l_name[0] == '\0';
  const std::string symbol = symbol_at(is_program ? "/proc/self/exe" : loaded.l_name,
                                       place - static_cast<std::uintptr_t>(loaded.l_addr));
  if (!symbol.empty()) return demangled(symbol.c_str());
  return module.dli_sname != nullptr ? demangled(module.dli_sname) : "?";
}

}  // namespace

std::string frame_text(const void* address, bool returns) {
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  const std::uintptr_t inside = place - (returns ? 1 : 0);
  Dl_info module{};
  link_map* loaded = nullptr;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  if (::dladdr1(reinterpret_cast<const void*>(inside), &module, reinterpret_cast<void**>(&loaded),
                RTLD_DL_LINKMAP) == 0 ||
      module.dli_fname == nullptr || loaded == nullptr) {
    return fmt::format("{}", address);
  }
  return fmt::format("{} ({}+{:#x})", function_name(module, *loaded, inside), module.dli_fname,
                     place - static_cast<std::uintptr_t>(loaded->l_addr));
}

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
    // The innermost was interrupted.
    fmt::format_to(std::back_inserter(lines), "    {}\n", frame_text(frames_[i], i > skip));
  }
  return lines;
}

}  // namespace siding::detail
