// SPDX-License-Identifier: MIT
// expect: no matching function for call to .*run_in_executor
#include <siding/run_in_executor.hpp>
#include <siding/thread_pool.hpp>

int blocks(int number);

siding::Future<int> start() {
#ifdef SIDING_GOOD
  siding::ThreadPool pool;
  return siding::run_in_executor(pool, blocks, 1);
#else
  return siding::run_in_executor(siding::ThreadPool(), blocks, 1);
#endif
}
