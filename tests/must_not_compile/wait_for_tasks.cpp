// SPDX-License-Identifier: MIT
// Only what has been started can be waited for.
// expect: wait\(\) takes futures, of what runs already: start the tasks
#include <siding/create_task.hpp>
#include <siding/task.hpp>
#include <siding/wait.hpp>

#include <vector>

siding::Task<> step();

siding::Task<> two_steps() {
#ifdef SIDING_GOOD
  std::vector<siding::Future<>> steps;
  for (int i = 0; i < 2; ++i)
    steps.push_back(siding::create_task(step()));
#else
  std::vector<siding::Task<>> steps;
  for (int i = 0; i < 2; ++i)
    steps.push_back(step());
#endif
  co_await siding::wait(steps);
}
