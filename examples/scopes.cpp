// SPDX-License-Identifier: MIT
// Shows: deadlines, task groups, clean-up that awaits, and variables of a task.
//        docs/how_to/cancel_and_time_out.md goes through it.
// Run:   build/examples/scopes
// Prints:
//   [42] mirror 2 was the fastest
//   [43] no mirror answered in time
//   [44] two mirrors failed: mirror 1 is down; mirror 2 is down
//   saved: 3 lines

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;

siding::ContextVar<int> request{"request"};  // each task has its own

int lines = 0;

void log(std::string_view text) {
  fmt::print("[{}] {}\n", request.get(), text);
  ++lines;
}

struct Mirror {
  int number;
  std::chrono::milliseconds delay;
  bool works = true;
};

siding::Task<int> ask(Mirror mirror) {
  co_await siding::sleep(mirror.delay);
  if (!mirror.works) throw std::runtime_error(fmt::format("mirror {} is down", mirror.number));
  co_return mirror.number;
}

// The first answer ends the group, which cancels the others and waits for their end.
siding::Task<int> fastest(Mirror one, Mirror two) {
  std::optional<int> winner;
  co_await siding::with_task_group([&](siding::TaskGroup& group) {
    for (const Mirror& mirror : {one, two}) {
      group.start([&group, &winner, mirror]() -> siding::Task<> {
        const int number = co_await ask(mirror);
        if (!winner.has_value()) winner = number;
        group.cancel();
      });
    }
  });
  co_return winner.value();
}

siding::Task<> serve(int number, Mirror one, Mirror two) {
  request.set(number);
  try {
    co_await siding::timeout(100ms, [&]() -> siding::Task<> {
      const int winner = co_await fastest(one, two);
      log(fmt::format("mirror {} was the fastest", winner));
    });
  } catch (const siding::TimeoutError&) {
    log("no mirror answered in time");
  }
}

siding::Task<> ask_both(int number, Mirror one, Mirror two) {
  request.set(number);
  std::string failed;
  const auto [first, second] = co_await siding::gather_outcomes(ask(one), ask(two));
  for (const auto* outcome : {&first, &second}) {
    try {
      static_cast<void>(outcome->value());
    } catch (const std::runtime_error& error) {
      failed += failed.empty() ? "" : "; ";
      failed += error.what();
    }
  }
  log(fmt::format("two mirrors failed: {}", failed));
}

siding::Task<> save() {
  co_await siding::sleep(1ms);  // such as writing a file
  fmt::print("saved: {} lines\n", lines);
}

siding::Task<> run_all() {
  // Whatever becomes of the body, what it did is saved, and no cancellation interrupts that.
  co_await siding::with_cleanup(
      []() -> siding::Task<> {
        co_await serve(42, {1, 50ms}, {2, 1ms});
        co_await serve(43, {1, 10min}, {2, 10min});
        co_await ask_both(44, {1, 1ms, false}, {2, 2ms, false});
      },
      []() -> siding::Task<> { co_await siding::shield(save()); });
}

int main() { siding::run(run_all()); }
