// SPDX-License-Identifier: MIT
// expect: nothing happens until this is awaited
#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <chrono>

siding::Task<> take_a_break() {
#ifdef SIDING_GOOD
  co_await siding::sleep(std::chrono::seconds(1));
#else
  siding::sleep(std::chrono::seconds(1));
#endif
  co_return;
}
