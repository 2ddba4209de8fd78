// SPDX-License-Identifier: MIT
// expect: no matching function for call to .*offload
#include <siding/offload.hpp>
#include <siding/task.hpp>
#include <siding/thread_pool.hpp>

int blocks(int number);

siding::Task<int> call() {
#ifdef SIDING_GOOD
  siding::ThreadPool pool;
  co_return co_await siding::offload(pool, blocks, 1);
#else
  co_return co_await siding::offload(siding::ThreadPool(), blocks, 1);
#endif
}
