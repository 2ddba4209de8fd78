// SPDX-License-Identifier: MIT
// expect: nothing is put until this is awaited
#include <siding/queue.hpp>
#include <siding/task.hpp>

siding::Task<> feed(siding::Queue<int>& queue) {
#ifdef SIDING_GOOD
  co_await queue.put(1);
#else
  queue.put(1);
#endif
  co_return;
}
