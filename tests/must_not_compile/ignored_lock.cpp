// SPDX-License-Identifier: MIT
// expect: nothing happens until this is awaited
#include <siding/mutex.hpp>
#include <siding/task.hpp>

siding::Task<> change(siding::Mutex& mutex) {
#ifdef SIDING_GOOD
  const auto guard = co_await mutex.lock();
#else
  mutex.lock();
#endif
  co_return;
}
