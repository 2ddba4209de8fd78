// SPDX-License-Identifier: MIT
#include <siding/detail/inbox.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <system_error>

namespace siding::detail {

Inbox::Inbox() : event_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (event_fd_ < 0) {
    throw std::system_error(errno, std::system_category(),
                            "eventfd for a loop's wake-ups (raise the limit of open files?)");
  }
}

Inbox::~Inbox() {
  if (open_) ::close(event_fd_);
}

void Inbox::write_event(int event_fd) noexcept {
  const std::uint64_t one = 1;
  // Not ::write, which is a point where pthread_cancel may end the thread: between its push and its
  // write it would leave the loop asleep. A signal may interrupt it; nothing else can go wrong,
  // since the counter would have to reach 2^64 - 1.
  long written = 0;
  do {
    written = ::syscall(SYS_write, event_fd, &one, sizeof one);
  } while (written < 0 && errno == EINTR);
  assert(written == static_cast<long>(sizeof one));
}

void Inbox::read_event() noexcept {
  pollfd event{.fd = event_fd_, .events = POLLIN, .revents = 0};
  ::poll(&event, 1, -1);
  std::uint64_t count = 0;
  if (::read(event_fd_, &count, sizeof count) == static_cast<ssize_t>(sizeof count)) {
    written_ += count;
  }
}

void Inbox::wait() noexcept {
  if (!fall_asleep()) return;
  // Writes of earlier sleeps may still be in the counter: only a replaced ASLEEP ends the wait.
  while (head_.load(std::memory_order_acquire) == asleep()) read_event();
}

Node* Inbox::close() noexcept {
  if (!open_) return nullptr;
  Node* rest = settle_sleep(head_.exchange(closed(), std::memory_order_acq_rel));
  while (written_ < owed_) read_event();
  ::close(event_fd_);
  open_ = false;
  return reverse(rest);
}

void Inbox::abandon_after_fork() noexcept {
  head_.store(closed(), std::memory_order_relaxed);
  if (open_) ::close(event_fd_);
  open_ = false;
}

}  // namespace siding::detail
