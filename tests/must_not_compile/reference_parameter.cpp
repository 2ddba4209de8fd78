// SPDX-License-Identifier: MIT
// expect: a parameter that is a non-const lvalue reference needs std::ref
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

#include <functional>

void increment(int& number);

siding::Task<> increment_in_thread(int number) {
#ifdef SIDING_GOOD
  co_await siding::to_thread(increment, std::ref(number));
#else
  co_await siding::to_thread(increment, number);
#endif
}
