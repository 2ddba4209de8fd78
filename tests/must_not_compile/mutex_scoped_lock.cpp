// SPDX-License-Identifier: MIT
// expect: no member named 'unlock'
#include <siding/mutex.hpp>
#include <siding/task.hpp>

#include <mutex>

siding::Task<> change(siding::Mutex& mutex) {
#ifdef SIDING_GOOD
  const auto guard = co_await mutex.lock();
#else
  const std::scoped_lock guard(mutex);
#endif
  co_return;
}
