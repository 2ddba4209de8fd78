// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace siding::detail {

/// What a worker process leaves behind when it crashes, in memory that it shares with the program.
/// Zeroed, it says that nothing has happened.
///
/// Written by the crash handlers of the worker (see crash_watch.hpp), once; read by the program, which
/// does not trust it. `signal` is stored (release) before the unwinder is called, `frame_count` after
/// each frame, so a handler that fails on its way leaves what it had.
struct CrashPage {
  static constexpr std::size_t frame_room = 48;
  static constexpr std::size_t text_room = 512;

  /// As in CodeId; with the module 0, `offset` is an address in the worker that is in no module which
  /// was there when the worker started.
  struct Frame {
    std::atomic<std::uint64_t> module;
    std::atomic<std::uint64_t> offset;
  };

  std::atomic<std::uint32_t> signal;
  std::atomic<std::int32_t> code;  // the siginfo's
  std::atomic<std::uint64_t> address;
  std::atomic<std::uint32_t> frame_count;
  std::atomic<std::uint32_t> text_size;
  std::array<Frame, frame_room> frames;
  std::array<std::atomic<char>, text_room> text;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<char>::is_always_lock_free);

struct CrashReport {
  /// The signal that the worker was about to die of, or 0 if it got no further than to say why it
  /// would abort. The wait status says another one if the handler failed: SIGALRM if it hung, SIGSEGV
  /// if the memory that it needs is damaged. Then this one is the true one.
  int signal = 0;
  /// The reason as in siginfo_t (SEGV_MAPERR...). Not above 0: somebody sent the signal.
  int code = 0;
  /// The address whose use was the fault, or of the faulty instruction (SIGILL, SIGFPE).
  std::optional<std::uintptr_t> address;
  /// "terminate called after throwing std::runtime_error: text", or the C library's message (assert,
  /// "stack smashing detected", "double free"), or empty. Without control characters.
  std::string text;
  /// One line for each frame, the innermost first: "function (module+0xoffset)". Not the frames of the
  /// handler. Empty if the stack could not be unwound.
  std::vector<std::string> backtrace;
};

/// What a worker that has ended wrote before it did; nothing if it did not crash, or was killed. Each
/// word is read once and checked: a worker that scribbled here can make the report wrong, no more.
///
/// Names the functions by the files of the program's own modules, never by files of which the worker
/// speaks. Reads their symbol tables: some milliseconds for each frame if a file is large.
std::optional<CrashReport> read_crash(const CrashPage& page);

}  // namespace siding::detail
