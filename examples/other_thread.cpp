// SPDX-License-Identifier: MIT
// Shows: a thread that is not the loop's has the loop do something, and waits for the result.
//        docs/how_to/call_into_a_loop.md goes through it.
// Run:   build/examples/other_thread
// Prints:
//   the loop gave 42

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <chrono>
#include <thread>

using namespace std::chrono_literals;

siding::Task<int> look_up(int number) {  // runs on the loop
  co_await siding::sleep(1ms);
  co_return number * 7;
}

// Any thread but the loop's.
int ask(siding::EventLoop& loop, int number) {
  return siding::run_coroutine_threadsafe(look_up(number), loop).get();
}

siding::Task<> serve() {
  siding::EventLoop& loop = siding::EventLoop::current();
  siding::Promise<void> asked;
  const siding::Future<void> over = asked.future();
  std::thread other([&loop, &asked] {
    fmt::print("the loop gave {}\n", ask(loop, 6));
    asked.set_value();
  });
  co_await over;  // the loop goes on meanwhile
  other.join();
}

int main() { siding::run(serve()); }
