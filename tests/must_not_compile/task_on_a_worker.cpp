// SPDX-License-Identifier: MIT
// expect: the function returns a Task, which would never run: a worker calls ordinary functions
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

siding::Task<int> step(int n);

siding::Task<> steps() {
#ifdef SIDING_GOOD
  co_await step(1);
#else
  co_await siding::to_thread(step, 1);
#endif
}
