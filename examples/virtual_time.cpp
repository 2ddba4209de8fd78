// SPDX-License-Identifier: MIT
// Shows: a test of code with sleeps and limits, which takes no time and knows exactly when what
//        happens. docs/how_to/test_with_virtual_time.md goes through it.
// Run:   build/examples/virtual_time
// Prints:
//   connected after 3 attempts, at 300 ms
//   gave up at 60000 ms

#include <siding/siding.hpp>
#include <siding/testing/virtual_clock.hpp>

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <utility>

using namespace std::chrono_literals;

// What is to be tested: tries again and again, each time after a longer pause, for a minute at most.
siding::Task<int> connect_patiently(std::function<siding::Task<>()> connect) {
  co_return co_await siding::timeout(1min, [&]() -> siding::Task<int> {
    auto pause = 100ms;
    for (int attempt = 1;; ++attempt) {
      const auto outcome = co_await siding::outcome_of(connect());
      if (outcome.has_value()) co_return attempt;
      co_await siding::sleep(pause);
      pause *= 2;
    }
  });
}

// The test.
class Stopwatch {
 public:
  explicit Stopwatch(const siding::testing::VirtualClock& clock) : clock_(clock) {}
  long long milliseconds() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - start_).count();
  }

 private:
  const siding::testing::VirtualClock& clock_;
  const siding::TimePoint start_ = clock_.now();
};

void connects_at_the_third_attempt() {
  siding::testing::VirtualClock clock;
  siding::EventLoop loop{{.clock = &clock}};
  const Stopwatch watch(clock);
  int calls = 0;
  const int attempts = loop.run_until_complete(connect_patiently([&calls]() -> siding::Task<> {
    if (++calls < 3) throw std::runtime_error("refused");
    co_return;
  }));
  fmt::print("connected after {} attempts, at {} ms\n", attempts, watch.milliseconds());
}

void gives_up_after_a_minute() {
  siding::testing::VirtualClock clock;
  siding::EventLoop loop{{.clock = &clock}};
  const Stopwatch watch(clock);
  try {
    loop.run_until_complete(connect_patiently([]() -> siding::Task<> {
      throw std::runtime_error("refused");
      co_return;
    }));
  } catch (const siding::TimeoutError&) {
    fmt::print("gave up at {} ms\n", watch.milliseconds());
  }
}

int main() {
  connects_at_the_third_attempt();
  gives_up_after_a_minute();
}
