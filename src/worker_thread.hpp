// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

#include <cstddef>
#include <memory>
#include <system_error>
#include <unistd.h>
#include <utility>

// Threads with a stack of a given size, which std::thread cannot have.

namespace siding::detail {

/// The least that a thread's stack can be, in bytes.
inline std::size_t smallest_stack() noexcept {
  const long least = ::sysconf(_SC_THREAD_STACK_MIN);
  return least > 0 ? static_cast<std::size_t>(least) : std::size_t{16384};
}

/// Runs `body` on a new thread, which has to be joined. `stack_size`: 0 for the system's default.
/// Throws std::system_error, std::bad_alloc.
template <class Body>
pthread_t start_thread(std::size_t stack_size, Body body) {
  auto kept = std::make_unique<Body>(std::move(body));
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  int error = 0;
  if (stack_size != 0) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    error = ::pthread_attr_setstacksize(&attributes, (stack_size + page - 1) / page * page);
  }
  pthread_t thread{};
  if (error == 0) {
    // noexcept: what came out here would cross a C function.
    constexpr auto entry = [](void* given) noexcept -> void* {
      (*std::unique_ptr<Body>(static_cast<Body*>(given)))();
      return nullptr;
    };
    error = ::pthread_create(&thread, &attributes, +entry, kept.get());
  }
  ::pthread_attr_destroy(&attributes);
  if (error != 0) throw std::system_error(error, std::system_category(), "pthread_create");
  static_cast<void>(kept.release());
  return thread;
}

inline void join_thread(pthread_t thread) noexcept { ::pthread_join(thread, nullptr); }

}  // namespace siding::detail
