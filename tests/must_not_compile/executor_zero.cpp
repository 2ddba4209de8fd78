// SPDX-License-Identifier: MIT
// expect: no matching function for call to .*run_in_executor
#include <siding/run_in_executor.hpp>

int blocks(int number);

siding::Future<int> start() {
#ifdef SIDING_GOOD
  return siding::run_in_executor(nullptr, blocks, 1);
#else
  return siding::run_in_executor(0, blocks, 1);
#endif
}
