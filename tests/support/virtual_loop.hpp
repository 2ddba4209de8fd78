// SPDX-License-Identifier: MIT
#pragma once

#include <siding/event_loop.hpp>
#include <siding/testing/virtual_clock.hpp>

#include <chrono>

namespace siding_test {

/// A loop whose time jumps, and a stopwatch that started when it was made.
struct VirtualLoop {
  siding::testing::VirtualClock clock;
  siding::EventLoop loop{{.clock = &clock}};
  const siding::TimePoint start = clock.now();

  std::chrono::nanoseconds elapsed() const { return clock.now() - start; }
};

}  // namespace siding_test
