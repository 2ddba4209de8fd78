// SPDX-License-Identifier: MIT
// expect(g++): use of deleted function
// expect(clang++): call to (implicitly-deleted|deleted) (copy )?constructor of 'siding::Task
#include <siding/task.hpp>

#include <utility>

siding::Task<int> number();

siding::Task<int> twice() {
  auto task = number();
#ifdef SIDING_GOOD
  auto moved = std::move(task);
  co_return co_await moved;
#else
  auto copy = task;
  const int first = co_await copy;
  co_return first + co_await task;
#endif
}
