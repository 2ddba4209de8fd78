// SPDX-License-Identifier: MIT
#include "crash_page.hpp"

#include "code_segments.hpp"
#include "stack_text.hpp"

#include <siding/detail/code_identity.hpp>

#include <fmt/format.h>

#include <signal.h>

#include <algorithm>
#include <iterator>

namespace siding::detail {

namespace {

struct SignalKind {
  int signal;
  bool has_address;
};
constexpr SignalKind crash_kinds[] = {
    {SIGSEGV, true}, {SIGBUS, true},   {SIGILL, true}, {SIGFPE, true},
    {SIGTRAP, true}, {SIGSYS, true}, {SIGABRT, false},
};

const SignalKind* kind_of(std::uint32_t signal) noexcept {
  const auto* found =
      std::find_if(std::begin(crash_kinds), std::end(crash_kinds), [signal](const SignalKind& kind) {
        return static_cast<std::uint32_t>(kind.signal) == signal;
      });
  return found != std::end(crash_kinds) ? found : nullptr;
}

bool is_control(char letter) noexcept {
  const auto code = static_cast<unsigned char>(letter);
  return code < 0x20 || code == 0x7f;
}

std::string read_crash_text(const CrashPage& page) {
  // acquire: pairs with the worker's release behind the text.
  const std::size_t size = std::min<std::size_t>(page.text_size.load(std::memory_order_acquire),
                                                 CrashPage::text_room);
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    const char letter = page.text[i].load(std::memory_order_relaxed);
    if (letter == '\0') break;
    text += is_control(letter) ? ' ' : letter;
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string frame_line(CodeId frame, bool returns) {
  std::string line;
  for_each_code_segment([&](const CodeSegment& segment) {
    const std::uintptr_t address = segment.base + frame.offset;
    if (segment.module != frame.module || !segment.holds(address - (returns ? 1 : 0))) return false;
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    line = frame_text(reinterpret_cast<const void*>(address), returns);
    return true;
  });
  if (!line.empty()) return line;
  if (frame.module == 0) return fmt::format("{:#x}", frame.offset);
  return fmt::format("? (module {:016x}+{:#x})", frame.module, frame.offset);
}

std::vector<std::string> read_backtrace(const CrashPage& page) {
  // acquire: pairs with the worker's release behind each frame.
  const std::size_t count = std::min<std::size_t>(page.frame_count.load(std::memory_order_acquire),
                                                  CrashPage::frame_room);
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    const CodeId frame{page.frames[i].module.load(std::memory_order_relaxed),
                       page.frames[i].offset.load(std::memory_order_relaxed)};
    lines.push_back(frame_line(frame, i > 0));
  }
  return lines;
}

}  // namespace

std::optional<CrashReport> read_crash(const CrashPage& page) {
  CrashReport report;
  // acquire: pairs with the worker's release behind the code and the address.
  if (const SignalKind* kind = kind_of(page.signal.load(std::memory_order_acquire))) {
    report.signal = kind->signal;
    report.code = page.code.load(std::memory_order_relaxed);
    // SI_KERNEL: the processor did not say which address.
    if (kind->has_address && report.code > 0 && report.code != SI_KERNEL) {
      report.address = static_cast<std::uintptr_t>(page.address.load(std::memory_order_relaxed));
    }
    report.backtrace = read_backtrace(page);
  }
  report.text = read_crash_text(page);
  if (report.signal == 0 && report.text.empty()) return std::nullopt;
  return report;
}

}  // namespace siding::detail
