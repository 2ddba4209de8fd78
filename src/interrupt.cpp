// SPDX-License-Identifier: MIT
#include "interrupt.hpp"

#include "live_rings.hpp"
#include "loop.hpp"
#include "signal_source.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace siding::detail {

namespace {

// What the handler writes to: made once in a process and never closed, since a handler may still be
// running on another thread when the watch has ended. Only the main thread touches it otherwise.
volatile sig_atomic_t interrupt_fd = -1;

// The process that made it, by its fork_generation: a child inherits the parent's, and must neither
// write to it nor read from it. Relaxed: written before the handler is installed.
std::atomic<std::uint32_t> event_fd_generation{0};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

bool inherited() noexcept {
  return event_fd_generation.load(std::memory_order_relaxed) !=
         fork_generation.load(std::memory_order_relaxed);
}

// Since the loop came to it last. With this many it is stuck, and the next one ends the process.
constexpr int untaken_limit = 2;
std::atomic<int> untaken_interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free);

// A signal handler: runs on any thread that does not block SIGINT.
void on_sigint(int) {
  // A child forked inside a run, which is the parent's: SIGINT means there what it meant before.
  if (inherited() ||
      untaken_interrupts.fetch_add(1, std::memory_order_relaxed) >= untaken_limit) {
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
    return;
  }
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(interrupt_fd, &one, sizeof one);
  errno = saved;
}

bool may_take_sigint() noexcept {
  if (::syscall(SYS_gettid) != ::getpid()) return false;
  struct sigaction now {};
  return ::sigaction(SIGINT, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
         (now.sa_handler == SIG_DFL || (now.sa_handler == on_sigint && inherited()));
}

// The eventfd of this process.
void make_event_fd() {
  if (interrupt_fd >= 0 && inherited()) {
    ::close(interrupt_fd);
    interrupt_fd = -1;
  }
  if (interrupt_fd < 0) interrupt_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (interrupt_fd < 0) {
    throw std::system_error(errno, std::system_category(),
                            "eventfd for SIGINT (raise the limit of open files, or set "
                            "RunOptions::handle_sigint to false)");
  }
  event_fd_generation.store(fork_generation.load(std::memory_order_relaxed),
                            std::memory_order_relaxed);
}

int take_interrupts() noexcept {
  std::uint64_t count = 0;
  untaken_interrupts.store(0, std::memory_order_relaxed);
  if (::read(interrupt_fd, &count, sizeof count) != static_cast<ssize_t>(sizeof count)) return 0;
  return static_cast<int>(count);
}

}  // namespace

void InterruptWatch::begin(std::function<void(int)> on_interrupt) {
  count_ = 0;
  if (!may_take_sigint()) return;
  const bool handler_inherited = interrupt_fd >= 0 && inherited();
  make_event_fd();
  take_interrupts();  // what came too late for an earlier run
  on_interrupt_ = std::move(on_interrupt);
  if (!readable_.in_flight()) watch_event_fd();
  struct sigaction action {};
  action.sa_handler = on_sigint;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, &before_);
  if (handler_inherited) before_.sa_handler = SIG_DFL;
  active_ = true;
}

void InterruptWatch::end() noexcept {
  // Unless somebody has put a handler of his own there since, such as add_signal_handler().
  struct sigaction now {};
  if (active_ && ::sigaction(SIGINT, nullptr, &now) == 0 && now.sa_handler == on_sigint) {
    ::sigaction(SIGINT, &before_, nullptr);
  } else if (active_) {
    replace_saved_action(SIGINT, on_sigint, before_);
  }
  active_ = false;
  on_interrupt_ = nullptr;
}

void InterruptWatch::watch_event_fd() { loop_.ring().poll_once(readable_, interrupt_fd, POLLIN); }

// From inside the ring's reaping: only enqueues.
void InterruptWatch::Readable::complete(int, std::uint32_t) noexcept { watch.loop_.ready.push(*this); }

void InterruptWatch::Readable::run() noexcept {
  watch.count_ += take_interrupts();
  if (watch.on_interrupt_ && watch.count_ > 0) watch.on_interrupt_(watch.count_);
  try {
    watch.watch_event_fd();
  } catch (const std::bad_alloc&) {
    // Without memory for the operation a further SIGINT goes unnoticed until the next run.
  }
}

}  // namespace siding::detail
