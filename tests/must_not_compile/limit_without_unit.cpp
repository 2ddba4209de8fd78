// SPDX-License-Identifier: MIT
// expect: a limit needs a unit: wait_for\(x, 1s\)
#include <siding/wait_for.hpp>

#include <chrono>

siding::Task<> step();

siding::Task<> step_in_time() {
#ifdef SIDING_GOOD
  co_await siding::wait_for(step(), std::chrono::seconds(1));
#else
  co_await siding::wait_for(step(), 1);
#endif
}
