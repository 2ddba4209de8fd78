// SPDX-License-Identifier: MIT
// expect: the function cannot be called with these arguments
#include <siding/executor.hpp>

int add(int a, int b);

siding::Future<int> start(siding::Executor& executor) {
#ifdef SIDING_GOOD
  return executor.submit(add, 1, 2);
#else
  executor.submit(add, 1);
  return {};
#endif
}
