// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "file_descriptor.hpp"

#include <siding/detail/code_identity.hpp>

// What the program and its zygote say to each other. The zygote is a copy of the program that was
// executed anew and stopped before main(): it has one thread, forks workers, and collects their
// exit statuses. Each pool talks to it over a socket of its own (SEQPACKET: a message comes whole);
// the first socket is the process-wide one, whose end is the zygote's end. An end is said, because a
// forked child of the program may hold the sockets open: end of file alone would not be seen.

namespace siding::detail {

/// Named in the environment of a zygote: the number of its socket.
/// Of a worker that is executed on its own: "worker", the zygote's process, how many descriptors it was
/// given, from first_descriptor on, and the flags of the request.
inline constexpr char zygote_variable[] = "SIDING_ZYGOTE";
/// Where a copy of the program that was executed finds what it was given.
inline constexpr int first_descriptor = 3;

enum class ZygoteRequest : std::uint32_t {
  hello,    // brings the memory in which spinning workers are counted; on the process-wide socket
  connect,  // brings the zygote's end of a pool's socket; on the process-wide socket
  spawn,    // brings what a worker is given (WorkerDescriptors); on a pool's socket
  call,     // brings in `code` a function to be called in the zygote; on the process-wide socket
  end,      // of the socket on which it is said
};

struct ZygoteMessage {
  ZygoteRequest request = ZygoteRequest::hello;
  std::uint32_t token = 0;  // names the worker in the answer
  std::uint32_t flags = 0;
  CodeId code{};
};

// Flags of a spawn.
inline constexpr std::uint32_t spawn_isolated = 1;  // execute the program anew
inline constexpr std::uint32_t spawn_group = 2;     // in a process group of its own, which ends with it
inline constexpr std::uint32_t spawn_output = 4;    // pipes for its output are among the descriptors
/// From this bit on: how many descriptors of the program's own are among them.
inline constexpr unsigned spawn_extra_shift = 8;

enum class ZygoteAnswer : std::uint32_t {
  hello,    // `code` is the number of threads, `build` the image
  started,  // brings a pidfd, unless `code` is the errno of a fork that failed
  exited,   // `code` is the wait status
  called,   // `code` is the number of threads; -1: it threw, and a message with the error follows
};

struct ZygoteReport {
  ZygoteAnswer answer = ZygoteAnswer::hello;
  std::uint32_t token = 0;
  std::int32_t pid = 0;
  std::int32_t code = 0;
  std::uint64_t build = 0;
  std::int64_t max_rss_kib = 0;
  std::int64_t user_microseconds = 0;
  std::int64_t system_microseconds = 0;
};

/// From the program to one worker, over its control socket: brings the eventfd of a channel, or the
/// memory of a shared buffer that the worker has asked for; nothing if there is no such buffer.
struct ControlMessage {
  std::uint32_t channel = 0;
  std::uint64_t buffer = 0;  // its id; 0: it is about a channel
};

inline constexpr std::size_t max_passed = 32;
/// Of an error that a function threw in the zygote.
inline constexpr std::size_t largest_error = 16384;

/// Sends a message with descriptors. False with errno.
bool send_message(int socket, const void* message, std::size_t size,
                  std::span<const int> descriptors, int flags = 0) noexcept;

struct Received {
  long size = -1;  // 0: the other side is gone; -1: errno
  std::size_t count = 0;
  FileDescriptor descriptors[max_passed];
};
/// Receives one whole message of at most `size` bytes, and its descriptors, close-on-exec.
Received receive_message(int socket, void* message, std::size_t size, int flags = 0) noexcept;

}  // namespace siding::detail
