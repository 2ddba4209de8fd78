// SPDX-License-Identifier: MIT
// expect: this is no function but the result of a call, as in to_thread\(f\(x\)\)
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

int blocks(int n);

siding::Task<int> offloaded() {
#ifdef SIDING_GOOD
  co_return co_await siding::to_thread(blocks, 1);
#else
  co_await siding::to_thread(blocks(1));
  co_return 0;
#endif
}
