// SPDX-License-Identifier: MIT
// TG-009
// expect: nothing happens until this is awaited
#include <siding/task_group.hpp>

#ifdef SIDING_GOOD
siding::Task<> good() {
  co_await siding::with_task_group([](siding::TaskGroup&) {});
}
#else
siding::Task<> bad() {
  siding::with_task_group([](siding::TaskGroup&) {});
  co_return;
}
#endif
