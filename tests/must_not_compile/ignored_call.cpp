// SPDX-License-Identifier: MIT
// expect: nothing happens until this is awaited
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

siding::Task<> call_in_thread() {
#ifdef SIDING_GOOD
  co_await siding::to_thread([] {});
#else
  siding::to_thread([] {});
#endif
  co_return;
}
