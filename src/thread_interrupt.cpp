// SPDX-License-Identifier: MIT
#include "thread_interrupt.hpp"

#include "file_descriptor.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

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
std::mutex request_mutex;  // who holds it owns `request`

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

// Waits until the handler has said so; false: the limit has passed.
bool wait_for_handler(int done_fd, int milliseconds) noexcept {
  pollfd entry{.fd = done_fd, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

}  // namespace

bool interrupt_thread(pid_t thread, Interruption& work, std::chrono::milliseconds limit) noexcept {
  const std::lock_guard lock(request_mutex);
  const FileDescriptor done(::eventfd(0, EFD_CLOEXEC));
  if (!done) return false;
  struct sigaction action {};
  action.sa_sigaction = handle_interrupt;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  ::sigfillset(&action.sa_mask);
  if (::sigaction(SIGURG, nullptr, &request.before) != 0) return false;
  ++request.number;
  request.work = &work;
  request.done_fd = done.get();
  if (::sigaction(SIGURG, &action, nullptr) != 0) return false;
  request.state.store(RequestState::waiting, std::memory_order_release);

  bool ran = send_interrupt(thread, request.number) &&
             wait_for_handler(done.get(), static_cast<int>(limit.count()));
  RequestState expected = RequestState::waiting;
  if (!ran && !request.state.compare_exchange_strong(expected, RequestState::none,
                                                     std::memory_order_acquire)) {
    ran = wait_for_handler(done.get(), -1);  // it has begun at the last moment, and ends by itself
  }
  ::sigaction(SIGURG, &request.before, nullptr);
  // acquire: what the handler has written is visible.
  return ran && request.state.load(std::memory_order_acquire) == RequestState::done;
}

}  // namespace siding::detail
