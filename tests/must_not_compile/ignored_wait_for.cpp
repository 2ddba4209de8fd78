// SPDX-License-Identifier: MIT
// expect: nothing happens until this is awaited
#include <siding/wait_for.hpp>

#include <chrono>

siding::Task<> step();

siding::Task<> step_in_time() {
#ifdef SIDING_GOOD
  co_await siding::wait_for(step(), std::chrono::seconds(1));
#else
  siding::wait_for(step(), std::chrono::seconds(1));
#endif
  co_return;
}
