// SPDX-License-Identifier: MIT
// Workers, zygotes and programs that die.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "support/process_tree.hpp"

namespace siding_test::process_pool_crash_test {
namespace {

using Pool = PoolSubject;

enum class End { sigkill, sigsegv, abort, exit99 };

int die(GateKey key, End end) {
  pass(key);
  // As if no sanitizer were there.
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGABRT, SIG_DFL);
  switch (end) {
    case End::sigkill:
      ::raise(SIGKILL);
      break;
    case End::sigsegv:
      ::raise(SIGSEGV);
      break;
    case End::abort:
      std::abort();
    case End::exit99:
      ::_exit(99);
  }
  return ::getpid();
}

int own_pid() { return ::getpid(); }
int parent_pid() { return ::getppid(); }
int square(int n) { return n * n; }
int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }
int pass_and_pid(GateKey key) {
  pass(key);
  return ::getpid();
}

bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }

TEST_SUITE("ProcessPool and death") {
  // PP-004
  TEST_CASE("a call whose worker dies fails with an error that names pid, cause and call") {
    struct Row {
      End end;
      const char* text;
      int signal;
      int status;
    };
    const Pool pool(1);
    for (const Row& row : {Row{End::sigkill, "SIGKILL", SIGKILL, 0},
                           Row{End::sigsegv, "SIGSEGV", SIGSEGV, 0},
                           Row{End::abort, "SIGABRT", SIGABRT, 0},
                           Row{End::exit99, "exit status 99", 0, 99}}) {
      CAPTURE(row.text);
      Gate gate;
      const int pid = value_of(pool->submit(own_pid));
      gate.open();
      const auto call = pool->submit({.name = "parse(page)"}, die, gate.key(), row.end);
      try {
        value_of(call);
        FAIL("the worker lives");
      } catch (const siding::WorkerCrashed& error) {
        const std::string text = error.what();
        CHECK(text.find(std::to_string(pid)) != std::string::npos);
        CHECK(text.find(row.text) != std::string::npos);
        CHECK(text.find("parse(page)") != std::string::npos);
        CHECK(error.pid() == pid);
        CHECK(error.signal() == row.signal);
        CHECK(error.exit_status() == row.status);
        CHECK(error.call() == "parse(page)");
      }
    }
  }

  // PP-005
  TEST_CASE("only the call that ran on the dead worker fails; queued ones run on another") {
    const Pool pool(2);
    Gate gate;
    const auto bad = pool->submit(die, gate.key(), End::sigkill);
    gate.wait_for_arrivals(1);
    std::vector<siding::Future<int>> good;
    for (int n = 0; n < 10; ++n) good.push_back(pool->submit(square, n));

    gate.open();

    CHECK_THROWS_AS(value_of(bad), siding::WorkerCrashed);
    for (int n = 0; n < 10; ++n) CHECK(value_of(good[static_cast<std::size_t>(n)]) == n * n);
  }

  // PP-006
  TEST_CASE("after a crash the same pool takes new work") {
    const Pool pool(1);
    for (int i = 0; i < 10; ++i) {
      Gate gate;
      gate.open();
      CHECK_THROWS_AS(value_of(pool->submit(die, gate.key(), End::abort)), siding::WorkerCrashed);
    }
    CHECK(value_of(pool->submit(power, 2, 8)) == 256);
    CHECK(pool->worker_count() == 1);
  }

  // PP-005
  TEST_CASE("calls that wait behind a long one go to the worker that replaces a dead one") {
    const Pool pool(2);
    Gate first;
    Gate second;
    const auto long_call = pool->submit(pass_and_pid, first.key());
    first.wait_for_arrivals(1);
    const auto victim = pool->submit(die, second.key(), End::sigkill);
    second.wait_for_arrivals(1);
    std::vector<siding::Future<int>> behind;
    for (int i = 0; i < 4; ++i) behind.push_back(pool->submit(own_pid));
    second.open();  // it dies
    CHECK_THROWS_AS(value_of(victim), siding::WorkerCrashed);
    for (const auto& call : behind) CHECK(value_of(call) > 0);
    CHECK_FALSE(long_call.done());
    first.open();
    CHECK(value_of(long_call) > 0);
  }

  // PP-010
  TEST_CASE("killing an idle worker loses nothing") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));

    ::kill(pid, SIGKILL);
    const int next = value_of(pool->submit(own_pid));

    CHECK(next != pid);
    CHECK(becomes_true([&] { return !lives(pid); }));
  }

  TEST_CASE("when the zygote is killed, running calls fail, queued ones run, and the pool goes on") {
    const Pool pool(1);
    const int zygote = value_of(pool->submit(parent_pid));
    Gate gate;
    const auto running = pool->submit(pass_and_pid, gate.key());
    gate.wait_for_arrivals(1);
    const auto queued = pool->submit(parent_pid);

    ::kill(zygote, SIGKILL);

    CHECK_THROWS_WITH_AS(value_of(running), doctest::Contains("zygote"), siding::WorkerCrashed);
    CHECK(value_of(queued) != zygote);
  }

  int outlive_the_zygote() {
    ::prctl(PR_SET_PDEATHSIG, 0);  // as the kernel does where a process changes its user
    return ::getpid();
  }

  TEST_CASE("when the zygote is killed, workers end that the kernel does not end with it") {
    const Pool pool(1);
    const int worker = value_of(pool->submit(outlive_the_zygote));
    const int zygote = value_of(pool->submit(parent_pid));

    ::kill(zygote, SIGKILL);

    CHECK(becomes_true([&] { return pool->worker_count() == 0; }));
    const bool left = lives(worker);
    CHECK_FALSE(left);
    if (left) ::kill(worker, SIGKILL);
    CHECK(value_of(pool->submit(own_pid)) != worker);
  }

  /// A child that holds all files of this process open until `end` is called.
  class Holder {
   public:
    Holder() {
      REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0);
      pid_ = ::fork();
      if (pid_ == 0) {
        ::close(ends_[1]);
        char byte = 0;
        while (::read(ends_[0], &byte, 1) > 0) {
        }
        ::_exit(0);
      }
      ::close(ends_[0]);
    }
    int end() {
      ::close(ends_[1]);
      return status_of(pid_);
    }

   private:
    int ends_[2]{};
    pid_t pid_ = -1;
  };

  // PP-018
  TEST_CASE("the last pool ends while a forked child of the program lives on") {
    const KeptForGood kept;
    const std::size_t before = count_children();
    auto pool = std::make_unique<siding::ProcessPool>(siding::ProcessPoolOptions{.max_workers = 1});
    CHECK(value_of(pool->submit(square, 7)) == 49);
    Holder child;

    pool.reset();  // would wait for the zygote, and the zygote for the child

    CHECK(count_children() == before + 1);
    CHECK(child.end() == 0);
  }

  std::size_t count_descriptors_of(pid_t pid) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      ++count;
    }
    return count;
  }

  TEST_CASE("pools that end leave nothing in the zygote while a forked child lives on") {
    const KeptForGood kept;
    siding::ProcessPool lasting{{.max_workers = 1}};
    const int zygote = value_of(lasting.submit(parent_pid));
    // Some of a worker that was just made may be among them: fewer than there are pools.
    const std::size_t before = count_descriptors_of(zygote);
    std::vector<std::unique_ptr<siding::ProcessPool>> pools;
    for (int i = 0; i < 10; ++i) {
      pools.push_back(
          std::make_unique<siding::ProcessPool>(siding::ProcessPoolOptions{.max_workers = 1}));
      value_of(pools.back()->submit(square, i));
    }
    Holder child;

    pools.clear();

    CHECK(becomes_true([&] { return count_descriptors_of(zygote) <= before; },
                       std::chrono::seconds(2 * slowness)));
    CHECK(child.end() == 0);
  }

  // PP-018
  TEST_CASE("after a shutdown there are no children, running or defunct") {
    const KeptForGood kept;
    const std::size_t before = count_children();
    {
      siding::ProcessPool pool{{.max_workers = 3}};
      std::vector<siding::Future<int>> calls;
      for (int n = 0; n < 100; ++n) calls.push_back(pool.submit(square, n));
      for (const auto& call : calls) value_of(call);
      pool.shutdown();
      CHECK(count_children() == before);
    }
    CHECK(count_children() == before);
  }

  // PP-018
  TEST_CASE("that holds too where the program ignores SIGCHLD, or collects every child itself") {
    const KeptForGood kept;
    for (const bool ignores : {true, false}) {
      const int status = status_in_child([ignores] {
        if (ignores) ::signal(SIGCHLD, SIG_IGN);
        std::thread thief;
        std::atomic<bool> over{false};
        if (!ignores) {
          thief = std::thread([&over] {
            while (!over) ::waitpid(-1, nullptr, WNOHANG);
          });
        }
        bool right = true;
        {
          siding::ProcessPool pool{{.max_workers = 2}};
          right = pool.submit(power, 2, 8).get() == 256;
          Gate gate;
          gate.open();
          try {
            pool.submit(die, gate.key(), End::exit99).get();
            right = false;
          } catch (const siding::WorkerCrashed& error) {
            right = right && error.exit_status() == 99;
          }
          right = right && pool.submit(power, 2, 8).get() == 256;
        }
        over = true;
        if (thief.joinable()) thief.join();
        if (!right) return 1;
        // Whoever collects the zygote may not have finished when it is known to be gone.
        return becomes_true([] { return count_children() == 0; }) ? 0 : 2;
      });
      CHECK(status == 0);
    }
  }

  /// The processes whose environment or ancestors' said `mark`.
  std::vector<pid_t> marked(const std::string& mark) {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream file(entry.path() / "environ");
      const std::string environment((std::istreambuf_iterator<char>(file)), {});
      const pid_t pid = static_cast<pid_t>(std::stol(name));
      if (environment.find(mark) != std::string::npos && lives(pid)) found.push_back(pid);
    }
    return found;
  }

  // PP-019
  TEST_CASE("a program that is killed takes its workers with it, at whatever moment") {
    const KeptForGood kept;
    const std::string mark = "SIDING_TEST_MARK=" + std::to_string(::getpid());
    for (int moment = 0; moment < 20; ++moment) {
      CAPTURE(moment);
      int ready[2];
      REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
      const pid_t program = start_child([&]() -> int {
        ::putenv(const_cast<char*>(mark.c_str()));
        siding::ProcessPool pool{{.max_workers = 4}};
        std::vector<siding::Future<unsigned>> calls;
        for (int i = 0; i < 4; ++i) {
          calls.push_back(pool.submit([](unsigned n) { return ::sleep(n); }, 60U));
          if (i == moment % 4) [[maybe_unused]]
            const ssize_t written = ::write(ready[1], "", 1);
        }
        ::pause();
        return 0;
      });
      char byte = 0;
      REQUIRE(::read(ready[0], &byte, 1) == 1);
      // The zygote and the workers are at some stage of their start.
      std::this_thread::sleep_for(std::chrono::microseconds(150 * moment));
      ::kill(program, SIGKILL);
      CHECK(status_of(program) == killed_by(SIGKILL));
      ::close(ready[0]);
      ::close(ready[1]);

      CHECK(becomes_true([&] { return marked(mark).empty(); },
                         std::chrono::seconds(2 * slowness)));
    }
  }

  // PP-021
  TEST_CASE("workers can be started while other threads hold locks") {
    const KeptForGood kept;
    std::atomic<bool> over{false};
    std::vector<std::thread> busy;
    FILE* nowhere = std::fopen("/dev/null", "w");
    for (int i = 0; i < 4; ++i) {
      busy.emplace_back([&over, nowhere] {
        while (!over) {
          const std::vector<std::string> strings(20, std::string(100, 'x'));
          std::fprintf(nowhere, "%s", strings[3].c_str());
        }
      });
    }
    for (int round = 0; round < 200 / slowness; ++round) {
      siding::ProcessPool pool{{.max_workers = 2}};
      CHECK(value_of(pool.submit(square, round)) == round * round);
    }
    over = true;
    for (std::thread& thread : busy) thread.join();
    std::fclose(nowhere);
  }

  TEST_CASE("a forked child leaves its parent's pool alone and can have one of its own") {
    const KeptForGood kept;
    auto pool = std::make_unique<siding::ProcessPool>(siding::ProcessPoolOptions{.max_workers = 1});
    const int pid = value_of(pool->submit(own_pid));
    const int status = status_in_child([&] {
      bool refused = false;
      try {
        pool->submit(own_pid);
      } catch (const siding::ProcessPoolUnavailable& error) {
        refused = std::string(error.what()).find("parent process") != std::string::npos;
      }
      std::optional<siding::ProcessPool> own;
      int other = 0;
      if (!thread_sanitized) {
        own.emplace(siding::ProcessPoolOptions{.max_workers = 1});
        other = own->submit(own_pid).get();
      }
      pool->shutdown();  // returns, and does nothing
      pool.reset();
      return refused && other != pid ? 0 : 1;
    });
    CHECK(status == 0);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  std::string open_files() {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      all += std::filesystem::read_symlink(entry.path(), ignored).string() + "\n";
    }
    return all;
  }

  // PP-022
  TEST_CASE("workers do not inherit the program's open files") {
    const KeptForGood kept;
    int sockets[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    FILE* file = std::tmpfile();
    const std::string name =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(::fileno(file)));
    const std::string socket =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(sockets[0]));
    siding::ProcessPool pool{{.max_workers = 1}};

    const std::string seen = value_of(pool.submit(open_files));

    CHECK(seen.find(name) == std::string::npos);
    CHECK(seen.find(socket) == std::string::npos);
    ::close(sockets[0]);
    ::close(sockets[1]);
    std::fclose(file);
  }

  // PP-029
  TEST_CASE("work that nobody waits for is done before a pool in main() has ended") {
    const KeptForGood kept;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const int status = status_in_child([&] {
      ::dup2(ends[1], STDOUT_FILENO);
      siding::ProcessPool pool{{.max_workers = 1}};
      pool.submit([](const char* text) { std::puts(text); }, "apple");
      return 0;
    });
    ::close(ends[1]);
    char text[64] = {};
    const ssize_t length = ::read(ends[0], text, sizeof text);
    ::close(ends[0]);

    CHECK(status == 0);
    CHECK(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(length, 0))) == "apple\n");
  }

  int pid_then_pass(GateKey pids, GateKey gate) {
    arrive(pids);
    pass(gate);
    return ::getpid();
  }

  // PP-020
  TEST_CASE("an interrupt or quit from the terminal does not end the workers") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    Gate begun;
    Gate gate;
    const auto call = pool->submit(pid_then_pass, begun.key(), gate.key());
    begun.wait_for_arrivals(1);

    ::kill(pid, SIGINT);
    ::kill(pid, SIGQUIT);
    gate.open();

    CHECK(value_of(call) == pid);
  }

  TEST_CASE("a worker process is recognised in a list of processes by the pool's name") {
    const KeptForGood kept;
    siding::ProcessPool pool{{.max_workers = 1, .name = "resizer"}};
    const int pid = value_of(pool.submit(own_pid));
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    file >> name;
    CHECK(name == "resizer");
    CHECK(exists(pid));
  }
}

}  // namespace
}  // namespace siding_test::process_pool_crash_test
