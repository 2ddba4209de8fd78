// SPDX-License-Identifier: MIT
// Shows: what to do when a program hangs: a dump of its tasks, a watchdog, debug mode.
//        docs/how_to/debug_a_hang.md goes through it.
// Run:   build/examples/debug_a_hang        (the whole dump goes to stderr)
// Prints:
//   after 10 s nothing has come of it:
//   task 'bob to ann', 10.000 s old, waits for a Mutex
//   task 'ann to bob', 10.000 s old, waits for a Mutex
//   watchdog: stuck in task 'report'
//   debug mode: 2 reports

#include <siding/siding.hpp>
#include <siding/testing/virtual_clock.hpp>

#include <fmt/format.h>

#include <chrono>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

struct Account {
  siding::Mutex mutex;
  int cents = 0;
};

// Locks in the order of its arguments, which is the mistake.
siding::Task<> transfer(Account& from, Account& to, int cents) {
  const auto from_lock = co_await from.mutex.lock();
  co_await siding::sleep(50ms);
  const auto to_lock = co_await to.mutex.lock();
  from.cents -= cents;
  to.cents += cents;
}

siding::Task<> transfers(Account& ann, Account& bob) {
  const auto there = siding::create_task(transfer(ann, bob, 20), {.name = "ann to bob"});
  const auto back = siding::create_task(transfer(bob, ann, 30), {.name = "bob to ann"});
  const std::vector both{there, back};
  const auto outcome = co_await siding::wait(both, {.timeout = 10s});
  if (outcome.pending.empty()) co_return;

  fmt::print("after 10 s nothing has come of it:\n");
  const std::string dump = siding::dump_tasks();
  fmt::print(stderr, "{}", dump);
  std::istringstream lines(dump);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("a Mutex") != std::string::npos) fmt::print("{}\n", line);
  }
  there.cancel();
  back.cancel();
}

void hang_for_want_of_order() {
  siding::testing::VirtualClock clock;  // so that nobody has to wait
  siding::EventLoop loop{{.clock = &clock}};
  Account ann;
  Account bob;
  loop.run_until_complete(transfers(ann, bob));
}

// Does what blocks on the loop's thread, where co_await siding::to_thread(...) was meant.
siding::Task<> report() {
  std::this_thread::sleep_for(300ms);
  co_return;
}

std::mutex line_mutex;
std::string first_line;

void hang_by_blocking() {
  siding::set_log_sink([](std::string_view line) {
    const std::lock_guard lock(line_mutex);
    if (first_line.empty()) first_line = line;
  });
  siding::RunOptions options;
  options.loop.watchdog = 100ms;
  siding::run(
      []() -> siding::Task<> {
        auto task = siding::create_task(report(), {.name = "report"});
        co_await task;
      },
      options);
  siding::set_log_sink({});
  fmt::print(stderr, "{}", first_line);
  const auto begin = first_line.find("stuck in");
  fmt::print("watchdog: {}\n", first_line.substr(begin, first_line.find(';') - begin));
}

siding::Task<> say_hello() { co_return; }

void look_for_mistakes() {
  siding::EventLoop loop{{.debug = true, .slow_step = 150ms}};
  int reports = 0;
  loop.set_exception_handler([&](const siding::ErrorReport& report) {
    ++reports;
    fmt::print(stderr, "{}\n", report.message);
  });
  loop.run_until_complete([]() -> siding::Task<> {
    co_await report();
    const auto forgotten = say_hello();
  });
  fmt::print("debug mode: {} reports\n", reports);
}

int main() {
  hang_for_want_of_order();
  hang_by_blocking();
  look_for_mistakes();
}
