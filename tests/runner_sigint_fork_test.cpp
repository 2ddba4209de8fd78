// SPDX-License-Identifier: MIT
// SIGINT in a child of fork(), which is the child's and not its parent's.
#include <siding/runner.hpp>

#include <siding/error.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "support/child.hpp"

namespace siding_test::runner_sigint_fork_test {
namespace {

using namespace std::chrono_literals;
using siding::Limit;
using siding::Task;
using siding_test::start_child;
using siding_test::status_in_child;
using siding_test::status_of;

Task<> nothing() { co_return; }

// Looks at the ring a few times, so that an interrupt that has come is noticed.
Task<> some_turns() {
  for (int i = 0; i < 3; ++i)
    co_await siding::sleep(1ms);
}

TEST_SUITE("SIGINT after fork()") {
  TEST_CASE("SIGINT to a child interrupts the child's run and not the parent's") {
    siding::run(nothing);  // makes the parent's descriptor for SIGINT
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const pid_t child = start_child([&pipe] {
      auto main = [&pipe]() -> Task<> {
        [[maybe_unused]] const ssize_t written = ::write(pipe[1], "", 1);
        co_await siding::sleep(Limit());
      };
      try {
        siding::run(main);
      } catch (const siding::Interrupted&) {
        return 7;
      }
      return 1;
    });
    int status = 0;
    bool undisturbed = false;
    auto main = [&]() -> Task<> {
      char byte = 0;
      REQUIRE(::read(pipe[0], &byte, 1) == 1);
      ::kill(child, SIGINT);
      status = status_of(child);
      co_await some_turns();
      undisturbed = true;
    };

    siding::run(main);

    CHECK(status == 7);
    CHECK(undisturbed);
    for (const int end : pipe)
      ::close(end);
  }

  TEST_CASE("SIGINT ends a child that was forked inside a run, and leaves the run alone") {
    int status = 0;
    bool undisturbed = false;
    auto main = [&]() -> Task<> {
      status = status_in_child([] {
        ::raise(SIGINT);
        return 1;
      });
      co_await some_turns();
      undisturbed = true;
    };

    siding::run(main);

    CHECK(status == siding_test::killed_by(SIGINT));
    CHECK(undisturbed);
  }
}

}  // namespace
}  // namespace siding_test::runner_sigint_fork_test
