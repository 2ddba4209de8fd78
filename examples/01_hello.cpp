// SPDX-License-Identifier: MIT
// Shows: a task goes on ticking while another one awaits a call that blocks.
// Run:   build/examples/01_hello
// Prints (how many ticks fit in depends on the machine):
//   tick 1
//   tick 2
//   tick 3
//   7 * 7 = 49

#include <siding/siding.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

using namespace std::chrono_literals;

int slow_square(int n) {  // an ordinary function, and it blocks
  std::this_thread::sleep_for(350ms);
  return n * n;
}

siding::Task<> tick() {
  for (int i = 1;; ++i) {
    co_await siding::sleep(100ms);
    std::printf("tick %d\n", i);
  }
}

siding::Task<> hello() {
  siding::create_task(tick());  // runs beside this task
  const int square = co_await siding::to_thread(slow_square, 7);
  std::printf("7 * 7 = %d\n", square);
}  // when the first task ends, run() cancels the ticking one

int main() { siding::run(hello()); }
