// SPDX-License-Identifier: MIT
#include "spin.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace siding::detail {

constinit std::atomic<std::uint32_t> SpinCount::own_word_{0};
constinit std::atomic<std::atomic<std::uint32_t>*> SpinCount::word_{&SpinCount::own_word_};
// Any number but 0 until there are other processes.
constinit std::atomic<std::uint32_t> SpinCount::process_{1};

void SpinCount::forked() noexcept {
  process_.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
}

std::size_t usable_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace siding::detail
