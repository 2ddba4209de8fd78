// SPDX-License-Identifier: MIT
// With the directive, sleep(1) would be the function that blocks the thread.
// expect(g++): use of deleted function
// expect(clang++): call to deleted function 'sleep'
#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <unistd.h>

#include <chrono>

using namespace siding;

Task<> pause_loop() {
#ifdef SIDING_GOOD
  co_await sleep(std::chrono::seconds(1));
#else
  sleep(1);
  co_return;
#endif
}
