// SPDX-License-Identifier: MIT
#include "thread_interrupt.hpp"

#include "file_descriptor.hpp"

#include <siding/detail/fixed_text.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

namespace siding::detail {

namespace {

enum class RequestState : std::uint8_t { none, waiting, running, done };

/// The interruption under way. Its fields are written by the thread that asks, before `state` says
/// waiting (release), and read by the handler after it has seen that (acquire).
struct InterruptRequest {
  std::atomic<RequestState> state{RequestState::none};
  int number = 0;  // tells its signal from a late one of a former request
  Interruption* work = nullptr;
  int done_fd = -1;
  struct sigaction before {};
};

constinit InterruptRequest request;

// The process whose thread owns `request`; 0: nobody. Not a mutex: a child of fork() would inherit it
// locked by a thread that it does not have, and here sees another process's number.
constinit std::atomic<pid_t> interrupt_owner{0};

void own_request() noexcept {
  const pid_t self = ::getpid();
  for (;;) {
    pid_t owner = interrupt_owner.load(std::memory_order_relaxed);
    // acquire: what the owner before wrote is visible.
    if (owner != self && interrupt_owner.compare_exchange_weak(owner, self, std::memory_order_acquire)) {
      return;
    }
    const timespec pause{.tv_sec = 0, .tv_nsec = 100'000};
    ::nanosleep(&pause, nullptr);
  }
}

void disown_request() noexcept { interrupt_owner.store(0, std::memory_order_release); }

void handle_interrupt(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  RequestState expected = RequestState::waiting;
  if (info->si_code == SI_QUEUE && info->si_pid == ::getpid() &&
      request.state.load(std::memory_order_acquire) == RequestState::waiting &&
      info->si_value.sival_int == request.number &&
      request.state.compare_exchange_strong(expected, RequestState::running,
                                            std::memory_order_acquire)) {
    request.work->run();
    const int done_fd = request.done_fd;
    request.state.store(RequestState::done, std::memory_order_release);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(done_fd, &one, sizeof one));
  } else if (info->si_code != SI_QUEUE || info->si_pid != ::getpid()) {
    if ((request.before.sa_flags & SA_SIGINFO) != 0) {
      request.before.sa_sigaction(signal, info, context);
    } else if (request.before.sa_handler != SIG_DFL && request.before.sa_handler != SIG_IGN) {
      request.before.sa_handler(signal);
    }
  }
  errno = saved_errno;
}

bool send_interrupt(pid_t thread, int number) noexcept {
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_int = number;
  return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, SIGURG, &info) == 0;
}

/// Whether a thread of this process blocks SIGURG; nothing if there is no such thread.
std::optional<bool> blocks_interrupts(pid_t thread) noexcept {
  char path[64];
  FixedText text(path);
  text.add("/proc/self/task/").add(static_cast<std::uint64_t>(thread)).add("/status");
  text.add(std::string_view("\0", 1));
  const FileDescriptor status(::open(path, O_RDONLY | O_CLOEXEC));
  if (!status) return std::nullopt;
  char content[4096];
  const ssize_t size = ::read(status.get(), content, sizeof content);
  const std::string_view lines(content, size > 0 ? static_cast<std::size_t>(size) : 0);
  constexpr std::string_view key = "SigBlk:\t";
  const std::size_t at = lines.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t mask = 0;
  const char* digits = lines.data() + at + key.size();
  std::from_chars(digits, lines.data() + lines.size(), mask, 16);
  return (mask >> (SIGURG - 1) & 1) != 0;
}

// Waits until the handler has said so; false: the limit has passed.
bool wait_for_handler(int done_fd, int milliseconds) noexcept {
  pollfd entry{.fd = done_fd, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  // Poll says nothing of order: after the read, what the handler did with the descriptor is over.
  std::uint64_t count = 0;
  return ready > 0 && ::read(done_fd, &count, sizeof count) == static_cast<ssize_t>(sizeof count);
}

}  // namespace

InterruptResult interrupt_thread(pid_t thread, Interruption& work,
                             std::chrono::milliseconds limit) noexcept {
  const NoInterruption alone;
  const std::optional<bool> blocked = blocks_interrupts(thread);
  if (!blocked.has_value()) return InterruptResult::gone;
  if (*blocked) return InterruptResult::blocked;
  const FileDescriptor done(::eventfd(0, EFD_CLOEXEC));
  if (!done) return InterruptResult::late;
  struct sigaction now {};
  if (::sigaction(SIGURG, nullptr, &now) != 0) return InterruptResult::late;
  // It is ours already in a child that was forked in the middle of one of its parent's.
  if (now.sa_sigaction != handle_interrupt) request.before = now;
  ++request.number;
  request.work = &work;
  request.done_fd = done.get();
  struct sigaction action {};
  action.sa_sigaction = handle_interrupt;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  ::sigfillset(&action.sa_mask);
  if (::sigaction(SIGURG, &action, nullptr) != 0) return InterruptResult::late;
  request.state.store(RequestState::waiting, std::memory_order_release);

  bool ran = send_interrupt(thread, request.number) &&
             wait_for_handler(done.get(), static_cast<int>(limit.count()));
  RequestState expected = RequestState::waiting;
  if (!ran && !request.state.compare_exchange_strong(expected, RequestState::none,
                                                     std::memory_order_acquire)) {
    ran = wait_for_handler(done.get(), -1);  // it has begun at the last moment, and ends by itself
  }
  // Unless somebody has put a handler of his own there since.
  if (::sigaction(SIGURG, nullptr, &now) == 0 && now.sa_sigaction == handle_interrupt) {
    ::sigaction(SIGURG, &request.before, nullptr);
  }
  // acquire: what the handler has written is visible.
  ran = ran && request.state.load(std::memory_order_acquire) == RequestState::done;
  return ran ? InterruptResult::done : InterruptResult::late;
}

NoInterruption::NoInterruption() noexcept { own_request(); }
NoInterruption::~NoInterruption() { disown_request(); }

}  // namespace siding::detail
