// SPDX-License-Identifier: MIT
// A program with process pools that is killed leaves no process behind, whatever it did at that moment.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/executor_subject.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/seed.hpp"

namespace siding_test::process_pool_orphans_test {
namespace {

using namespace std::chrono_literals;
using siding::ProcessPool;
using siding::StartMethod;

/// Starts a process that would live on.
void start_own_child() {
  if (::fork() != 0) return;
  for (;;) ::pause();
}

int call_of_any_kind(int kind) {
  switch (kind) {
    case 0:
      for (;;) ::pause();
    case 1:
      ::raise(SIGKILL);
      break;
    case 2:
      start_own_child();
      break;
    case 3:
      start_own_child();
      for (;;) ::pause();
    case 4:
      static_cast<void>(!::write(STDOUT_FILENO, "line\n", 5));
      break;
    default:
      break;
  }
  return kind;
}

/// What the program does until it is killed.
class Program {
 public:
  explicit Program(unsigned seed) : random_(seed) {}

  void run_for_ever() {
    for (;;) {
      std::vector<std::unique_ptr<ProcessPool>> pools;
      for (int i = below(2); i >= 0; --i) pools.push_back(make_pool());
      for (int i = below(12); i >= 0; --i) {
        ProcessPool& pool = *pools[static_cast<std::size_t>(below(static_cast<int>(pools.size())))];
        const auto call = pool.submit(call_of_any_kind, below(8));
        call.add_done_callback([](const siding::AnyFuture& done) { done.exception(); });
        // Else the pool stands still where all of its workers pause.
        if (below(3) == 0) becomes_true([&call] { return call.done(); }, 2ms);
      }
      for (const auto& pool : pools) {
        if (below(2) == 0) pool->kill();
        static_cast<void>(pool->close({.cancel_pending = true}));
        pool->kill();
      }
    }
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  std::unique_ptr<ProcessPool> make_pool() {
    siding::ProcessPoolOptions options;
    options.start = std::array{StartMethod::clean, StartMethod::isolated,
                               StartMethod::snapshot}[static_cast<std::size_t>(
        below(thread_sanitized ? 2 : 3))];
    options.max_workers = static_cast<std::size_t>(1 + below(4));
    options.kill_children = true;
    options.max_tasks_per_child = static_cast<std::size_t>(below(4));
    if (below(2) == 0) options.idle_timeout = 500us;
    if (below(2) == 0) {
      options.output = siding::Output::relay;
      options.on_output = [](const siding::OutputLine&) {};
    }
    return std::make_unique<ProcessPool>(options);
  }

  std::mt19937 random_;
};

/// Collects what has ended. True: there is no child any more.
bool all_collected() {
  for (;;) {
    const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
    if (ended == 0) return false;
    if (ended < 0) return true;
  }
}

/// For those that are left where something is wrong.
void end_children() {
  std::ifstream file("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  for (pid_t child = 0; file >> child;) ::kill(child, SIGKILL);
  becomes_true(all_collected);
}

TEST_SUITE("programs with process pools that are killed") {
  // PP-019
  TEST_CASE("no process of a program is left when it was killed, at whatever moment") {
    const KeptForGood kept;
    // Whatever loses its parent becomes a child of this process, wherever it has got to.
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    unsigned seed = random_seed();
    const unsigned long rounds = random_rounds(60);
    std::size_t outlived = 0;  // those of its processes that were there yet when it was not
    for (unsigned long i = 0; i < rounds; ++i, ++seed) {
      INFO("seed ", seed);
      const LeakGuard guard;
      std::array<int, 2> ready{};
      REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
      const pid_t program = start_child([&]() -> int {
        ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
        static_cast<void>(!::write(ready[1], "", 1));
        Program(seed).run_for_ever();
        return 0;
      });
      char byte = 0;
      REQUIRE(::read(ready[0], &byte, 1) == 1);
      // The moment is what is random: it cannot be waited for.
      std::this_thread::sleep_for(
          std::chrono::microseconds(std::mt19937(seed)() % (30'000 * slowness)));
      ::kill(program, SIGKILL);
      CHECK(status_of(program) == killed_by(SIGKILL));
      outlived += count_children();
      for (const int descriptor : ready) ::close(descriptor);

      const bool none_left = becomes_true(all_collected, std::chrono::seconds(2 * slowness));
      CHECK(none_left);
      if (!none_left) end_children();
    }
    CHECK(outlived > 0);
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_orphans_test
