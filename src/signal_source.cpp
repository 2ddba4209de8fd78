// SPDX-License-Identifier: MIT
#include "signal_source.hpp"

#include "live_rings.hpp"
#include "loop.hpp"
#include "thread_interrupt.hpp"

#include <fmt/format.h>

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <optional>
#include <new>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace siding::detail {

namespace {

/// One signal of this process. What the signal handler touches is atomic: it runs on any thread.
struct TakenSignal {
  std::atomic<int> event_fd{-1};         // where the handler rings; -1: nowhere
  std::atomic<std::uint32_t> pending{0};  // raised, and not yet seen by the loop
  // The process that took it, by its fork_generation: a child must not ring its parent.
  std::atomic<std::uint32_t> generation{0};
  const SignalSource* owner = nullptr;  // guarded by table_mutex, like what follows
  struct sigaction before {};
};
static_assert(std::atomic<int>::is_always_lock_free);

constexpr int signal_limit = 65;  // SIGRTMAX + 1
std::array<TakenSignal, signal_limit> signal_table;
std::mutex table_mutex;

// Never closed, only used again: a handler may still be running on another thread, and about to
// write, when its signal has been given back. Guarded by table_mutex.
std::vector<int> free_event_fds;
std::uint32_t free_generation = 0;  // of the process that made them

std::uint32_t forks_so_far() noexcept { return fork_generation.load(std::memory_order_relaxed); }

extern "C" void siding_on_signal(int signal) {
  TakenSignal& taken = signal_table[static_cast<std::size_t>(signal)];
  if (taken.generation.load(std::memory_order_relaxed) != forks_so_far()) {
    // A forked child, whose parent's loop this is: the signal means there what it means by default.
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  const int saved = errno;
  // release: pairs with the loop's acquire, so that what came before a raise() is visible there.
  taken.pending.fetch_add(1, std::memory_order_release);
  const int event_fd = taken.event_fd.load(std::memory_order_acquire);
  const std::uint64_t one = 1;
  if (event_fd >= 0) static_cast<void>(!::write(event_fd, &one, sizeof one));
  errno = saved;
}

int take_event_fd() {
  const std::lock_guard lock(table_mutex);
  if (free_generation != forks_so_far()) {
    for (const int inherited : free_event_fds) ::close(inherited);
    free_event_fds.clear();
    free_generation = forks_so_far();
  }
  if (!free_event_fds.empty()) {
    const int event_fd = free_event_fds.back();
    free_event_fds.pop_back();
    return event_fd;
  }
  free_event_fds.reserve(free_event_fds.capacity() + 1);  // for its return
  const int event_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (event_fd < 0) {
    throw std::system_error(errno, std::system_category(), "eventfd for signals");
  }
  return event_fd;
}

// With what follows, the signals that a program can sensibly be told of by a callback.
void check_signal(int signal) {
  const char* why = nullptr;
  if (signal <= 0 || signal >= signal_limit) why = "there is no such signal";
  if (signal == SIGKILL || signal == SIGSTOP) why = "the kernel lets nobody handle it";
  if (signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL) {
    why = "what has raised it would be done again, without end";
  }
  if (signal >= 32 && signal < SIGRTMIN) why = "the C library keeps it for itself";
  if (why != nullptr) {
    throw std::invalid_argument(fmt::format("add_signal_handler({}): {}", signal, why));
  }
}

// What SIGURG does is also changed for a moment by interruptions of a thread.
std::optional<NoInterruption> hold_interruptions(int signal) noexcept {
  return signal == SIGURG ? std::optional<NoInterruption>(std::in_place)
                          : std::optional<NoInterruption>();
}

// With the lock. True: it was raised, and nobody was told.
bool give_back(TakenSignal& taken, int signal) noexcept {
  const auto held = hold_interruptions(signal);
  struct sigaction now {};
  // Unless somebody else has put a handler of his own there since.
  if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == siding_on_signal) {
    ::sigaction(signal, &taken.before, nullptr);
  }
  taken.event_fd.store(-1, std::memory_order_release);
  taken.owner = nullptr;
  return taken.pending.exchange(0, std::memory_order_relaxed) != 0;
}

}  // namespace

SignalHandler::~SignalHandler() = default;

SignalSource::SignalSource(Scheduler& scheduler)
    : scheduler_(scheduler), forks_(forks_so_far()), event_fd_(take_event_fd()) {}

SignalSource::~SignalSource() {
  loop_closed();
  const std::lock_guard lock(table_mutex);
  if (forks_ != forks_so_far()) {
    ::close(event_fd_);
  } else if (free_event_fds.size() < free_event_fds.capacity()) {
    free_event_fds.push_back(event_fd_);
  }
}

void SignalSource::add(int signal, std::shared_ptr<SignalHandler> handler) {
  check_signal(signal);
  const std::lock_guard lock(table_mutex);
  TakenSignal& taken = signal_table[static_cast<std::size_t>(signal)];
  const bool is_of_this_process =
      taken.generation.load(std::memory_order_relaxed) == forks_so_far();
  if (taken.owner != nullptr && taken.owner != this && is_of_this_process) {
    throw std::logic_error(
        fmt::format("add_signal_handler({}): another event loop has a handler for it", signal));
  }
  const auto found = handlers_.find(signal);
  if (found != handlers_.end()) {
    found->second->remove();
    found->second = std::move(handler);
    return;
  }
  handlers_.emplace(signal, std::move(handler));
  taken.owner = this;
  taken.pending.store(0, std::memory_order_relaxed);
  taken.generation.store(forks_so_far(), std::memory_order_relaxed);
  taken.event_fd.store(event_fd_, std::memory_order_release);
  struct sigaction action {};
  action.sa_handler = siding_on_signal;
  action.sa_flags = SA_RESTART;
  const auto held = hold_interruptions(signal);
  ::sigaction(signal, &action, &taken.before);
}

bool SignalSource::remove(int signal) noexcept {
  const auto found = handlers_.find(signal);
  if (found == handlers_.end()) return false;
  const std::shared_ptr<SignalHandler> handler = std::move(found->second);
  handler->remove();
  handlers_.erase(found);
  bool missed = false;
  {
    const std::lock_guard lock(table_mutex);
    missed = give_back(signal_table[static_cast<std::size_t>(signal)], signal);
  }
  if (missed) handler->missed();
  return true;
}

void SignalSource::loop_closed() noexcept {
  while (!handlers_.empty()) remove(handlers_.begin()->first);
}

bool SignalSource::has_mail() noexcept {
  return std::any_of(handlers_.begin(), handlers_.end(), [](const auto& entry) {
    return signal_table[static_cast<std::size_t>(entry.first)].pending.load(
               std::memory_order_relaxed) != 0;
  });
}

// Each handler once, however often its signal was raised since.
void SignalSource::collect() noexcept {
  for (const auto& [signal, handler] : handlers_) {
    TakenSignal& taken = signal_table[static_cast<std::size_t>(signal)];
    if (taken.pending.exchange(0, std::memory_order_acquire) == 0) continue;
    try {
      schedule_call(scheduler_, [called = handler] { called->run(); });
    } catch (const std::bad_alloc&) {
      taken.pending.fetch_add(1, std::memory_order_relaxed);  // the next iteration tries again
    }
  }
}

void SignalSource::reset_event() noexcept {
  std::uint64_t count = 0;
  static_cast<void>(!::read(event_fd_, &count, sizeof count));
}

void SignalSource::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(event_fd_, &one, sizeof one));
}

void replace_saved_action(int signal, void (*handler)(int),
                          const struct sigaction& instead) noexcept {
  const std::lock_guard lock(table_mutex);
  TakenSignal& taken = signal_table[static_cast<std::size_t>(signal)];
  if (taken.owner != nullptr && taken.before.sa_handler == handler) taken.before = instead;
}

void add_signal_handler(Scheduler& scheduler, int signal, std::shared_ptr<SignalHandler> handler) {
  Loop& loop = static_cast<Loop&>(scheduler);
  if (loop.signals == nullptr) {
    check_signal(signal);
    loop.signals = std::make_shared<SignalSource>(scheduler);
    loop.add_source(loop.signals);
  }
  loop.signals->add(signal, std::move(handler));
}

bool remove_signal_handler(Scheduler& scheduler, int signal) {
  Loop& loop = static_cast<Loop&>(scheduler);
  return loop.signals != nullptr && loop.signals->remove(signal);
}

bool has_signal_handler(Scheduler& scheduler, int signal) {
  Loop& loop = static_cast<Loop&>(scheduler);
  return loop.signals != nullptr && loop.signals->has(signal);
}

}  // namespace siding::detail
