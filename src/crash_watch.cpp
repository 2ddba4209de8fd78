// SPDX-License-Identifier: MIT
#include "crash_watch.hpp"

#include "alarm_limit.hpp"
#include "code_segments.hpp"
#include "stack_text.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/detail/fixed_text.hpp>
#include <siding/detail/sanitizers.hpp>

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <span>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

// What a handler does is safe in one: it stores to the page and looks into a table that was made
// beforehand. The exception is the unwinder. It is needed, its library was loaded beforehand, and
// everything else is in the page before it is called.

namespace siding::detail {

namespace {

constexpr int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
// Chosen: the unwinder needs milliseconds at most.
constexpr unsigned handler_seconds = 2;
// Chosen: ample for the unwinder, and for the registers of any processor.
constexpr std::size_t handler_stack = std::size_t{128} << 10;

/// What glibc keeps of a message that it is about to abort with: its own, but unchanged since 2.4, and
/// looked up by name. Debuggers read it too.
struct AbortMessage {
  unsigned int size;  // of the whole mapping
  char text[1];       // longer, and with a null byte
};

struct CrashWatch {
  CrashPage& page;
  pid_t owner;
  std::vector<CodeSegment> segments;
  const AbortMessage* const* abort_message;
  std::terminate_handler terminate;  // the one before ours

  bool concerns_this_process() const noexcept { return ::getpid() == owner; }
};

// Never destroyed: static destructors may crash.
constinit std::atomic<const CrashWatch*> crash_watch{nullptr};
// Of several threads that crash, the first one writes.
constinit std::atomic<bool> crash_taken{false};
constinit std::atomic<bool> crash_text_taken{false};

void put_text(CrashPage& page, std::string_view text) noexcept {
  if (crash_text_taken.exchange(true, std::memory_order_relaxed)) return;
  const std::size_t size = std::min(text.size(), CrashPage::text_room);
  for (std::size_t i = 0; i < size; ++i) page.text[i].store(text[i], std::memory_order_relaxed);
  // release: pairs with the program's acquire.
  page.text_size.store(static_cast<std::uint32_t>(size), std::memory_order_release);
}

bool is_code(const CrashWatch& watch, std::uintptr_t address) noexcept {
  return std::any_of(watch.segments.begin(), watch.segments.end(),
                     [address](const CodeSegment& segment) { return segment.holds(address); });
}

// Where a thread was when its signal came. Not known of other processors, so without a backtrace.
std::uintptr_t interrupted_at([[maybe_unused]] const ucontext_t& context) noexcept {
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return context.uc_mcontext.pc;
#else
  return 0;
#endif
}

// Whence a place was called that is no code, so that no unwinder knows.
std::uintptr_t called_from([[maybe_unused]] const ucontext_t& context) noexcept {
#if defined(__x86_64__)
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return *reinterpret_cast<const std::uintptr_t*>(context.uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
  return context.uc_mcontext.regs[30];
#else
  return 0;
#endif
}

class FrameWriter {
 public:
  explicit FrameWriter(const CrashWatch& watch) noexcept : watch_(watch) {}

  void add(std::uintptr_t address) noexcept {
    if (count_ == CrashPage::frame_room) return;
    const std::uintptr_t inside = address - (count_ > 0 ? 1 : 0);  // of a caller: the return
    const auto segment =
        std::find_if(watch_.segments.begin(), watch_.segments.end(),
                     [inside](const CodeSegment& candidate) { return candidate.holds(inside); });
    const bool known = segment != watch_.segments.end();
    CrashPage::Frame& frame = watch_.page.frames[count_];
    frame.module.store(known ? segment->module : 0, std::memory_order_relaxed);
    frame.offset.store(known ? address - segment->base : address, std::memory_order_relaxed);
    ++count_;
    // release: pairs with the program's acquire.
    watch_.page.frame_count.store(count_, std::memory_order_release);
  }

 private:
  const CrashWatch& watch_;
  std::uint32_t count_ = 0;
};

void write_frames(const CrashWatch& watch, const ucontext_t& context) noexcept {
  FrameWriter writer(watch);
  const std::uintptr_t place = interrupted_at(context);
  writer.add(place);
  if (!is_code(watch, place)) {
    if (const std::uintptr_t caller = called_from(context); is_code(watch, caller)) {
      writer.add(caller);
    }
  }
  StackTrace stack;
  stack.capture();
  // What stands before are the frames of the handler.
  const std::span<void* const> frames = stack.frames();
  auto frame = std::find_if(frames.begin(), frames.end(), [place](const void* candidate) {
    return reinterpret_cast<std::uintptr_t>(candidate) == place;
  });
  if (frame == frames.end()) return;
  while (++frame != frames.end()) writer.add(reinterpret_cast<std::uintptr_t>(*frame));
}

void write_crash(const CrashWatch& watch, int signal, const siginfo_t& info,
                 const ucontext_t& context) noexcept {
  CrashPage& page = watch.page;
  page.code.store(info.si_code, std::memory_order_relaxed);
  page.address.store(reinterpret_cast<std::uintptr_t>(info.si_addr), std::memory_order_relaxed);
  // release: pairs with the program's acquire.
  page.signal.store(static_cast<std::uint32_t>(signal), std::memory_order_release);
  limit_by_alarm(handler_seconds);
  if (signal == SIGABRT && watch.abort_message != nullptr && *watch.abort_message != nullptr) {
    const AbortMessage& message = **watch.abort_message;
    put_text(page, {message.text, ::strnlen(message.text, CrashPage::text_room)});
  }
  write_frames(watch, context);
  ::alarm(0);  // a core dump takes its time
}

void handle_crash(int signal, siginfo_t* info, void* context) {
  // acquire: pairs with the release of watch_for_crashes().
  const CrashWatch* watch = crash_watch.load(std::memory_order_acquire);
  if (watch->concerns_this_process()) {
    // The first thread is about to end the process.
    if (crash_taken.exchange(true, std::memory_order_relaxed)) {
      for (;;) ::pause();
    }
    write_crash(*watch, signal, *info, *static_cast<const ucontext_t*>(context));
  }
  struct sigaction end {};
  end.sa_handler = SIG_DFL;
  ::sigaction(signal, &end, nullptr);
  // Again, with all that the kernel said of it. It is blocked until this returns, so it comes at the
  // place where the first one came. (Faults would come again by themselves, but not a breakpoint, or
  // what somebody has sent.)
  ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::syscall(SYS_gettid), signal, info);
}

void add_reason(FixedText& text) noexcept {
  const std::exception_ptr error = std::current_exception();
  if (!error) {
    text.add("terminate called without an active exception");
    return;
  }
  text.add("terminate called after throwing ");
  try {
    text.add(describe(error));
  } catch (...) {  // no memory
    text.add(error.__cxa_exception_type()->name());
  }
}

[[noreturn]] void handle_terminate() {
  const CrashWatch* watch = crash_watch.load(std::memory_order_acquire);
  if (watch->concerns_this_process()) {
    char room[CrashPage::text_room];
    FixedText text(room);
    add_reason(text);
    put_text(watch->page, text.view());
  }
  if (watch->terminate != nullptr) watch->terminate();
  std::abort();
}

// Leaks on purpose: the main thread has it for good.
void use_handler_stack() noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* memory = ::mmap(nullptr, page + handler_stack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return;
  ::mprotect(memory, page, PROT_NONE);
  stack_t stack{};
  stack.ss_sp = static_cast<std::byte*>(memory) + page;
  stack.ss_size = handler_stack;
  ::sigaltstack(&stack, nullptr);
}

void install_handlers() noexcept {
  StackTrace::prepare();
  use_handler_stack();
  struct sigaction action {};
  action.sa_sigaction = &handle_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  // A fault in the handler finds its signal blocked, which ends the process at once.
  for (const int signal : crash_signals) ::sigaddset(&action.sa_mask, signal);
  for (const int signal : crash_signals) {
    struct sigaction present {};
    ::sigaction(signal, nullptr, &present);
    if ((present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == SIG_DFL) {
      ::sigaction(signal, &action, nullptr);
    }
  }
}

}  // namespace

void watch_for_crashes(CrashPage& page) noexcept {
  try {
    std::vector<CodeSegment> segments;
    for_each_code_segment([&segments](const CodeSegment& segment) {
      segments.push_back(segment);
      return false;
    });
    const void* message = ::dlvsym(RTLD_DEFAULT, "__abort_msg", "GLIBC_PRIVATE");
    const auto* watch = new CrashWatch{page, ::getpid(), std::move(segments),
                                       static_cast<const AbortMessage* const*>(message),
                                       std::get_terminate()};
    crash_watch.store(watch, std::memory_order_release);
  } catch (...) {
    return;  // without memory a worker gets no further than this anyway
  }
  std::set_terminate(&handle_terminate);
  if (!SIDING_SANITIZED) install_handlers();
}

}  // namespace siding::detail
