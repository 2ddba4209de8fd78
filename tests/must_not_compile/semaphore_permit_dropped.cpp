// SPDX-License-Identifier: MIT
// expect: dropping the permit gives it back at once
// compilers: clang++
#include <siding/semaphore.hpp>
#include <siding/task.hpp>

siding::Task<> use(siding::Semaphore& semaphore) {
#ifdef SIDING_GOOD
  const auto permit = co_await semaphore.acquire();
#else
  co_await semaphore.acquire();
#endif
}
