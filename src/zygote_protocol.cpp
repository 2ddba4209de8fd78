// SPDX-License-Identifier: MIT
#include "zygote_protocol.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace siding::detail {

namespace {

constexpr std::size_t control_space = CMSG_SPACE(max_passed * sizeof(int));

}  // namespace

bool send_message(int socket, const void* message, std::size_t size,
                  std::span<const int> descriptors, int flags) noexcept {
  iovec part{const_cast<void*>(message), size};
  alignas(cmsghdr) char control[control_space] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(first), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &header, flags | MSG_NOSIGNAL) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

Received receive_message(int socket, void* message, std::size_t size, int flags) noexcept {
  Received received;
  iovec part{message, size};
  alignas(cmsghdr) char control[control_space];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  do {
    received.size = ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
  } while (received.size < 0 && errno == EINTR);
  if (received.size < 0) return received;
  for (cmsghdr* next = CMSG_FIRSTHDR(&header); next != nullptr; next = CMSG_NXTHDR(&header, next)) {
    if (next->cmsg_level != SOL_SOCKET || next->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (next->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && received.count < max_passed; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(next) + i * sizeof(int), sizeof descriptor);
      received.descriptors[received.count++] = FileDescriptor(descriptor);
    }
  }
  return received;
}

}  // namespace siding::detail
