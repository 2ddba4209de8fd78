// SPDX-License-Identifier: MIT
// SIGINT while run() or a Runner runs.
#include <siding/runner.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/child.hpp"
#include "support/counted.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/sleep_watch.hpp"

namespace siding_test::runner_sigint_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::Limit;
using siding::Runner;
using siding::Task;

bool sigint_is_default() {
  struct sigaction action {};
  return ::sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

// Sleeps until it is cancelled, and takes note of that.
Task<int> waits(bool& tidied) {
  bool cancelled = false;
  try {
    co_await siding::sleep(Limit());
  } catch (const siding::Cancelled&) {
    cancelled = true;
  }
  tidied = cancelled;
  throw siding::Cancelled();
}

Task<int> interrupts_itself(bool& tidied) {
  ::raise(SIGINT);
  co_return co_await waits(tidied);
}

std::atomic<int> handler_calls = 0;
void count_call(int) { ++handler_calls; }

/// While it lives, SIGINT has an action that the program has chosen.
class SigintAction {
 public:
  explicit SigintAction(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    ::sigaction(SIGINT, &action, &before_);
  }
  ~SigintAction() { ::sigaction(SIGINT, &before_, nullptr); }
  SigintAction(const SigintAction&) = delete;
  SigintAction& operator=(const SigintAction&) = delete;

 private:
  struct sigaction before_ {};
};

/// A child says through it how far it is.
class Progress {
 public:
  Progress() { REQUIRE(::pipe(ends_.data()) == 0); }
  ~Progress() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step() { [[maybe_unused]] const ssize_t written = ::write(ends_[1], "", 1); }
  void wait_for_step() {
    pollfd waiting{ends_[0], POLLIN, 0};
    const int limit = static_cast<int>(std::chrono::milliseconds(siding_test::hang_limit).count());
    REQUIRE(::poll(&waiting, 1, limit) == 1);
    char byte = 0;
    REQUIRE(::read(ends_[0], &byte, 1) == 1);
  }

 private:
  std::array<int, 2> ends_{};
};

TEST_SUITE("SIGINT") {
  // RU-008
  TEST_CASE("the first SIGINT cancels main, and run throws Interrupted") {
    siding::run([]() -> Task<> { co_return; });  // makes the descriptor for SIGINT, which stays
    const siding_test::LeakGuard guard;
    bool tidied = false;
    bool taken_over = false;
    auto main = [&]() -> Task<int> {
      taken_over = !sigint_is_default();
      co_return co_await interrupts_itself(tidied);
    };

    CHECK_THROWS_WITH_AS(siding::run(main), "the run was interrupted by SIGINT",
                         siding::Interrupted);

    CHECK(taken_over);
    CHECK(tidied);
    CHECK(sigint_is_default());
  }

  // RU-008
  TEST_CASE("SIGINT wakes a loop that is asleep in the kernel, on whichever thread it comes") {
    bool tidied = false;
    auto main = [&]() -> Task<int> {
      std::thread other([watch = siding_test::SleepWatch()] {
        watch.wait_until_asleep();
        ::raise(SIGINT);  // runs the handler here, on this thread
      });
      const auto joins = std::unique_ptr<std::thread, void (*)(std::thread*)>(
          &other, [](std::thread* thread) { thread->join(); });
      co_return co_await waits(tidied);
    };

    CHECK_THROWS_AS(siding::run(main), siding::Interrupted);

    CHECK(tidied);
  }

  // RU-008
  TEST_CASE("a process that is sent SIGINT can tidy up and end in its own way") {
    Progress progress;
    const pid_t child = siding_test::start_child([&] {
      bool tidied = false;
      auto main = [&]() -> Task<int> {
        progress.step();
        co_return co_await waits(tidied);
      };
      try {
        siding::run(main);
      } catch (const siding::Interrupted&) {
        return tidied ? 3 : 4;
      }
      return 5;
    });
    progress.wait_for_step();

    ::kill(child, SIGINT);

    CHECK(siding_test::status_of(child) == 3);
  }

  TEST_CASE("the first SIGINT also cancels the tasks that are left, and waits for them") {
    bool tidied = false;
    bool left_tidied = false;
    auto leaves = [&]() -> Task<> {
      try {
        co_await waits(left_tidied);
      } catch (const siding::Cancelled&) {
      }
    };
    auto main = [&]() -> Task<int> {
      siding::create_task(leaves);
      co_await siding::yield();
      co_return co_await interrupts_itself(tidied);
    };

    CHECK_THROWS_AS(siding::run(main), siding::Interrupted);

    CHECK(tidied);
    CHECK(left_tidied);
  }

  TEST_CASE("SIGINT is noticed by a main that never sleeps") {
    bool tidied = false;
    auto main = [&]() -> Task<int> {
      ::raise(SIGINT);
      const auto limit = Clock::now() + 5s * siding_test::slowness;
      try {
        while (Clock::now() < limit)
          co_await siding::yield();
      } catch (const siding::Cancelled&) {
        tidied = true;
        throw;
      }
      co_return 1;
    };

    CHECK_THROWS_AS(siding::run(main), siding::Interrupted);

    CHECK(tidied);
  }

  // RU-009
  TEST_CASE("the second SIGINT ends the run without waiting for main") {
    const siding_test::LeakGuard guard;
    siding_test::Counts counts;
    bool went_on = false;
    auto stubborn = [&]() -> Task<int> {
      const siding_test::Counted local(counts);
      bool tidied = false;
      try {
        co_await interrupts_itself(tidied);
      } catch (const siding::Cancelled&) {
      }
      CHECK(tidied);
      ::raise(SIGINT);
      co_await siding::sleep(siding_test::hang_limit);
      went_on = true;
      co_return 1;
    };
    const auto start = Clock::now();

    CHECK_THROWS_AS(siding::run(stubborn), siding::Interrupted);

    CHECK(Clock::now() - start < 5s * siding_test::slowness);
    CHECK_FALSE(went_on);
    CHECK(counts.alive() == 0);
    CHECK(sigint_is_default());
  }

  TEST_CASE("two SIGINTs that come before the loop gets on end the run at once") {
    bool tidied = false;
    auto main = [&]() -> Task<int> {
      ::raise(SIGINT);
      ::raise(SIGINT);
      co_return co_await waits(tidied);
    };

    CHECK_THROWS_AS(siding::run(main), siding::Interrupted);
  }

  TEST_CASE("a main that catches its cancellation by SIGINT and returns has a result") {
    auto main = []() -> Task<std::string> {
      ::raise(SIGINT);
      std::string reason;
      try {
        co_await siding::sleep(Limit());
      } catch (const siding::Cancelled& cancelled) {
        reason = cancelled.reason();
      }
      co_return reason;
    };

    CHECK(siding::run(main) == "SIGINT");
    CHECK(sigint_is_default());
  }

  TEST_CASE("a main that answers SIGINT with an error makes run throw that error") {
    auto main = []() -> Task<int> {
      bool tidied = false;
      try {
        co_await interrupts_itself(tidied);
      } catch (const siding::Cancelled&) {
        throw std::domain_error("half done");
      }
      co_return 1;
    };

    CHECK_THROWS_WITH_AS(siding::run(main), "half done", std::domain_error);
    CHECK(sigint_is_default());
  }

  TEST_CASE("a runner takes SIGINT in each run anew, and not between two runs") {
    Runner runner;
    for (int round = 0; round < 3; ++round) {
      bool tidied = false;
      CHECK_THROWS_AS(runner.run([&] { return interrupts_itself(tidied); }), siding::Interrupted);
      CHECK(tidied);
      CHECK(sigint_is_default());
      CHECK(runner.run([]() -> Task<int> {
        co_await siding::yield();
        co_return 2;
      }) == 2);
      CHECK(sigint_is_default());
    }
  }

  TEST_CASE("the third SIGINT ends a process whose loop is stuck") {
    const int status = siding_test::status_in_child([] {
      siding::run([]() -> Task<> {
        for (int i = 0; i < 3; ++i) ::raise(SIGINT);
        co_return;
      });
      return 0;
    });

    CHECK(status == siding_test::killed_by(SIGINT));
  }

  TEST_CASE("after a run, SIGINT ends the process again") {
    const int status = siding_test::status_in_child([] {
      bool tidied = false;
      try {
        siding::run([&] { return interrupts_itself(tidied); });
      } catch (const siding::Interrupted&) {
        if (tidied) ::raise(SIGINT);
      }
      return 0;
    });

    CHECK(status == siding_test::killed_by(SIGINT));
  }

  TEST_CASE("a handler that the program has installed is left alone") {
    const SigintAction action(count_call);
    handler_calls = 0;
    auto main = []() -> Task<int> {
      ::raise(SIGINT);
      co_await siding::sleep(1ms);
      co_return 1;
    };

    CHECK(siding::run(main) == 1);
    ::raise(SIGINT);

    CHECK(handler_calls == 2);
  }

  TEST_CASE("a program that ignores SIGINT goes on ignoring it") {
    const SigintAction action(SIG_IGN);
    auto main = []() -> Task<int> {
      ::raise(SIGINT);
      co_await siding::sleep(1ms);
      co_return 1;
    };

    CHECK(siding::run(main) == 1);
  }

  TEST_CASE("SIGINT is left alone if that is asked for, and in runs off the main thread") {
    auto asks = []() -> Task<bool> { co_return sigint_is_default(); };

    CHECK(siding::run(asks, {.handle_sigint = false}));
    CHECK_FALSE(siding::run(asks));
    std::thread([&] { CHECK(siding::run(asks)); }).join();
  }
}

}  // namespace
}  // namespace siding_test::runner_sigint_test
