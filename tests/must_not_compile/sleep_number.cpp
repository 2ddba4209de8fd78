// SPDX-License-Identifier: MIT
// expect(g++): use of deleted function
// expect(clang++): call to deleted function 'sleep'
#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <chrono>

siding::Task<> take_a_break() {
#ifdef SIDING_GOOD
  using namespace std::chrono_literals;
  co_await siding::sleep(1s);
#else
  co_await siding::sleep(1);
#endif
}
