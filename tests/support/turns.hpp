// SPDX-License-Identifier: MIT
#pragma once

#include <siding/sleep.hpp>
#include <siding/task.hpp>

namespace siding_test {

/// Gives every task that is ready `count` turns.
inline siding::Task<> turns(int count) {
  for (int i = 0; i < count; ++i) {
    co_await siding::yield();
  }
}

}  // namespace siding_test
