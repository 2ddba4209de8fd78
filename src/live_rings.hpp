// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <system_error>

// The rings of this process, for the sake of its children. A child that merely holds the descriptor
// of a ring keeps the parent's operations alive after the parent has closed it: sockets stay open,
// buffers are written to. So the child closes all of them before fork() returns to it.
//
// The handlers run for fork() only, not for vfork, posix_spawn, _Fork or a raw clone; where an exec
// follows, the descriptors are close-on-exec.

namespace siding::detail {

/// A member of the list; part of each ring.
struct LiveRing {
  int descriptor = -1;
  LiveRing* next = nullptr;
  LiveRing* previous = nullptr;
};

// Held while a ring is made or unmade, and across fork(): a child finds each ring whole or not at
// all. The list also keeps rings that are leaked on purpose reachable.
inline constinit std::mutex live_mutex;
inline constinit LiveRing* first_live = nullptr;

// Counts the forks between this process and its oldest ancestor with a ring. Relaxed wherever it is
// used: it changes only in a child, which has one thread then.
inline constinit std::atomic<std::uint32_t> fork_generation{0};

inline void close_rings_in_child() noexcept {
  for (const LiveRing* ring = first_live; ring != nullptr; ring = ring->next)
    ::close(ring->descriptor);
  first_live = nullptr;
  fork_generation.fetch_add(1, std::memory_order_relaxed);
  live_mutex.unlock();
}

/// Installs the handlers, once.
inline void watch_forks() {
  static const int error = ::pthread_atfork([] { live_mutex.lock(); }, [] { live_mutex.unlock(); },
                                            close_rings_in_child);
  if (error != 0) throw std::system_error(error, std::system_category(), "pthread_atfork");
}

/// Call with live_mutex held.
inline void link(LiveRing& ring) noexcept {
  ring.next = first_live;
  if (first_live != nullptr) first_live->previous = &ring;
  first_live = &ring;
}

/// Call with live_mutex held.
inline void unlink(LiveRing& ring) noexcept {
  (ring.previous != nullptr ? ring.previous->next : first_live) = ring.next;
  if (ring.next != nullptr) ring.next->previous = ring.previous;
}

}  // namespace siding::detail
