// SPDX-License-Identifier: MIT
#include "probe.hpp"

#include <siding/event_loop.hpp>
#include <siding/sleep.hpp>
#include <siding/testing/virtual_clock.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

namespace siding_probe {
namespace {

// Far beyond what a probe takes. A child that reaches it has met something else than wrong code,
// and so has one whose probe throws: both fail, whatever was expected.
constexpr unsigned limit_in_seconds = 30;

enum Exit : int { exit_right = 0, exit_wrong = 1, exit_threw = 3 };

[[noreturn]] void run_here(siding::Task<Verdict> (*probe)()) {
  constexpr rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::alarm(limit_in_seconds);
  Verdict verdict = Verdict::bad;
  try {
    siding::testing::VirtualClock clock;
    siding::EventLoop loop{{.clock = &clock}};
    // Called when there is nothing else to do any more: a skipped body may leave its task waiting.
    loop.call_later(std::chrono::hours(24), [] {
      std::fputs("the probe waits for ever\n", stderr);
      ::_exit(exit_wrong);
    });
    verdict = loop.run_until_complete(probe());
    loop.run_until_complete(loop.shutdown_default_executor());
  } catch (...) {
    std::fputs("the probe threw\n", stderr);
    ::_exit(exit_threw);
  }
  if (verdict != Verdict::good) {
    std::fprintf(stderr, "the value is wrong: %#x\n", static_cast<unsigned>(verdict));
  }
  const int made = Thing::made;
  const int destroyed = Thing::destroyed;
  if (made != destroyed) {
    std::fprintf(stderr, "things made: %d, destroyed: %d\n", made, destroyed);
  }
  ::_exit(verdict == Verdict::good && made == destroyed ? exit_right : exit_wrong);
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t got = 0; (got = ::read(fd, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::string check_probe(siding::Task<Verdict> (*probe)(), Expected expected) {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  std::fflush(stdout);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(pipe[1], STDERR_FILENO);
    ::dup2(pipe[1], STDOUT_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
    run_here(probe);
  }
  ::close(pipe[1]);
  const std::string output = read_all(pipe[0]);
  ::close(pipe[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);

  const bool is_right = WIFEXITED(status) && WEXITSTATUS(status) == exit_right;
  const bool has_ended =
      WIFEXITED(status) ? WEXITSTATUS(status) != exit_threw : WTERMSIG(status) != SIGALRM;
  INFO(describe(status) << "\n" << output);
  CHECK_MESSAGE(has_ended, "the probe threw, or did not end");
  if (expected == Expected::right) {
    CHECK_MESSAGE(is_right, "this compiler gets wrong what it was known to get right");
  } else {
    WARN_MESSAGE(!is_right, "mended: this compiler gets right what it was known to get wrong");
  }
  return output;
}

siding::Task<int> at_once(int value) { co_return value; }
siding::Task<int> later(int value) {
  co_await siding::yield();
  co_return value;
}
siding::Task<Thing> thing_later(int value) {
  co_await siding::yield();
  co_return Thing(value);
}

}  // namespace siding_probe
