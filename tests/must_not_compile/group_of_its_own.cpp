// SPDX-License-Identifier: MIT
// TG-005, TG-009
// expect(g++): private within this context
// expect(clang++): private constructor
#include <siding/task_group.hpp>

#ifdef SIDING_GOOD
siding::Task<> good() {
  co_await siding::with_task_group([](siding::TaskGroup&) {});
}
#else
siding::Task<> bad(siding::detail::TaskContext& context) {
  siding::TaskGroup group(context);
  co_return;
}
#endif
