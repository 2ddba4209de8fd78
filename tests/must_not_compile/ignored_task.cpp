// SPDX-License-Identifier: MIT
// CC-004
// expect: a Task does nothing until it is awaited or given to create_task\(\) or run\(\)
#include <siding/task.hpp>

siding::Task<> step();

siding::Task<> all_steps() {
#ifdef SIDING_GOOD
  co_await step();
#else
  step();
#endif
  co_return;
}
