// SPDX-License-Identifier: MIT
#include "spin.hpp"

#include <unistd.h>

namespace siding::detail {

constinit std::atomic<std::uint32_t> SpinCount::own_word_{0};
constinit std::atomic<std::atomic<std::uint32_t>*> SpinCount::word_{&SpinCount::own_word_};
// Any number but 0 until there are other processes.
constinit std::atomic<std::uint32_t> SpinCount::process_{1};

void SpinCount::forked() noexcept {
  process_.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
}

}  // namespace siding::detail
