// SPDX-License-Identifier: MIT
// expect: the function returns a Task, which would never run: a worker calls ordinary functions
#include <siding/executor.hpp>
#include <siding/task.hpp>

siding::Task<int> step(int n);
int work(int n);

void start(siding::Executor& executor) {
#ifdef SIDING_GOOD
  static_cast<void>(executor.submit(work, 1));
#else
  static_cast<void>(executor.submit(step, 1));
#endif
}
