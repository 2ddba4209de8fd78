// SPDX-License-Identifier: MIT
// expect: dropping the guard releases the mutex at once
// compilers: clang++
#include <siding/mutex.hpp>
#include <siding/task.hpp>

siding::Task<> change(siding::Mutex& mutex) {
#ifdef SIDING_GOOD
  const auto guard = co_await mutex.lock();
#else
  co_await mutex.lock();
#endif
}
