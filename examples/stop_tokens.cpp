// SPDX-License-Identifier: MIT
// Shows: std::stop_token both ways. A loop on a std::jthread ends when that is told to; a plain
//        function on a thread of a task's own ends when the task is cancelled; of two tasks the
//        first with a result wins.
// Run:   build/examples/stop_tokens
// Prints:
//   searched until the deadline
//   mirror 2 was the first; mirror 1: out of order
//   the loop has ended with its thread

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <thread>

using namespace std::chrono_literals;

// A function that knows nothing of siding, and looks at a token.
void search(const std::stop_token& token) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, token, [] { return false; });
}

// The thread is this task's: it is joined when the task leaves, for whatever reason.
siding::Task<> search_beside() {
  std::jthread searching([token = siding::current_stop_token()] { search(token); });
  co_await siding::sleep(1h);
}

siding::Task<int> ask(int mirror, std::chrono::milliseconds delay, bool works) {
  co_await siding::sleep(delay);
  if (!works) throw std::runtime_error("out of order");
  co_return mirror;
}

siding::Task<> work() {
  try {
    co_await siding::wait_for(search_beside(), 20ms);
  } catch (const siding::TimeoutError&) {
    fmt::print("searched until the deadline\n");
  }

  const auto won = co_await siding::race(ask(1, 1ms, false), ask(2, 10ms, true), ask(3, 1h, true));
  try {
    std::rethrow_exception(won.errors[0]);
  } catch (const std::runtime_error& error) {
    fmt::print("mirror {} was the first; mirror 1: {}\n", won.value, error.what());
  }
}

siding::Task<> serve(std::stop_token token, std::latch& worked) {
  siding::cancel_on_stop(siding::current_task(), token);
  co_await work();
  worked.count_down();
  co_await siding::sleep(1h);  // such as waiting for requests
}

int main() {
  std::latch worked(1);
  std::jthread background([&worked](const std::stop_token& token) {
    try {
      siding::run(serve(token, worked));
    } catch (const siding::Cancelled&) {
      fmt::print("the loop has ended with its thread\n");
    }
  });
  worked.wait();
  background.request_stop();
}
