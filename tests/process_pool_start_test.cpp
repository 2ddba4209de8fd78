// SPDX-License-Identifier: MIT
// Zygotes that cannot be made, or take their time: a constructor of a static object, below, does in
// them what a case asks for.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "support/child.hpp"
#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "zygote.hpp"

namespace siding_test::process_pool_start_test {
namespace {

using Pool = PoolSubject;

// The thread sanitizer lets no thread be started in the child of a program with threads.
#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitized = true;
#elif defined(__has_feature)
constexpr bool thread_sanitized = __has_feature(thread_sanitizer);
#else
constexpr bool thread_sanitized = false;
#endif

enum class Does { wait, start_a_thread, exit, exit_but_for_a_child, crash, close_files };

constexpr char variable[] = "SIDING_TEST_START";

/// What zygotes that are made meanwhile do before main().
class InZygotes {
 public:
  InZygotes(Does what, const GateKey& key) {
    char text[160];
    std::snprintf(text, sizeof text, "%d %d %d %d %lu %lu", static_cast<int>(what), key.process,
                  key.entry, key.arrivals, key.entry_inode, key.arrivals_inode);
    ::setenv(variable, text, 1);
  }
  ~InZygotes() { ::unsetenv(variable); }
  InZygotes(const InZygotes&) = delete;
  InZygotes& operator=(const InZygotes&) = delete;
};

struct Static {
  Static() {
    const char* text = std::getenv(variable);
    int what = 0;
    GateKey key{};
    if (text == nullptr || std::sscanf(text, "%d %d %d %d %lu %lu", &what, &key.process, &key.entry,
                                       &key.arrivals, &key.entry_inode, &key.arrivals_inode) != 6) {
      return;
    }
    switch (static_cast<Does>(what)) {
      case Does::wait:
        pass(key);
        break;
      case Does::start_a_thread:
        arrive(key);
        std::thread([] { ::pause(); }).detach();
        break;
      case Does::exit:
        arrive(key);
        ::_exit(3);
      case Does::exit_but_for_a_child: {
        arrive(key);
        const int entry = open_end(key, key.entry, key.entry_inode, O_RDONLY);
        if (::fork() != 0) ::_exit(3);
        char byte = 0;
        while (::read(entry, &byte, 1) > 0) {
        }
        ::_exit(0);
      }
      case Does::crash:
        arrive(key);
        ::signal(SIGSEGV, SIG_DFL);
        ::raise(SIGSEGV);
        break;
      case Does::close_files:
        for (int file = 3; file < 16; ++file) ::close(file);
        pass(key);
        break;
    }
  }
} constructed;

int square(int n) { return n * n; }
int die() { ::_exit(9); }

/// What a call says that needs a zygote which cannot be made.
std::string refusal(const Pool& pool) {
  try {
    value_of(pool->submit(square, 3));
    return "it works";
  } catch (const siding::ProcessPoolUnavailable& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another error: ") + error.what();
  }
}

void check_that(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

TEST_SUITE("the start of a zygote") {
  // PP-027
  TEST_CASE("where constructors start threads, workers can be executed one by one") {
    Gate gate;
    const Pool pool({.max_workers = 2, .start = siding::StartMethod::isolated});
    const InZygotes threads(Does::start_a_thread, gate.key());
    CHECK(value_of(pool->submit(square, 3)) == 9);
    // One in the process that the workers are children of, one in the worker.
    CHECK(gate.arrivals() == 2);
    CHECK_THROWS_AS(value_of(pool->submit(die)), siding::WorkerCrashed);
    CHECK(value_of(pool->submit(square, 4)) == 16);
  }

  // PP-026
  TEST_CASE("where constructors start threads, the first call is refused after one start" *
            doctest::skip(SIDING_SANITIZED || !is_clean())) {  // sanitizers start some themselves
    const Pool pool(1);
    Gate gate;
    const InZygotes threads(Does::start_a_thread, gate.key());

    check_that(refusal(pool), "a constructor of a static object starts a thread there");

    CHECK(gate.arrivals() == 1);
    check_that(refusal(pool), "starts a thread there");
    CHECK_THROWS_AS(pool->submit(square, 3), siding::ProcessPoolUnavailable);
    CHECK(gate.arrivals() == 1);
  }

  // PP-026
  TEST_CASE("where constructors end the program, the error says with which status or signal" *
            doctest::skip(is_snapshot())) {
    struct Row {
      Does what;
      const char* text;
    };
    for (const Row& row : {Row{Does::exit, "before main() it ended with exit status 3."},
                           // Its socket stays open.
                           Row{Does::exit_but_for_a_child, "it ended with exit status 3."},
                           Row{Does::crash, "before main() it was killed by SIGSEGV"}}) {
      const Pool pool(1);
      Gate gate;
      const InZygotes ends(row.what, gate.key());

      const std::string text = refusal(pool);

      check_that(text, row.text);
      check_that(text, "LD_LIBRARY_PATH");
      CHECK(gate.arrivals() == 1);
    }
  }

  // PP-026
  TEST_CASE("where the system gives no descriptors for a worker, the error holds what it said" *
            doctest::skip(is_snapshot())) {
    if (SIDING_SANITIZED) return;  // they need some themselves
    const KeptForGood kept;
    const int status = status_in_child([] {
      const rlimit few{64, 64};
      ::setrlimit(RLIMIT_NOFILE, &few);
      int last = -1;
      for (int next = 0; (next = ::dup(STDERR_FILENO)) >= 0;) last = next;
      ::close(last);  // the pool's own
      siding::ProcessPool pool{{.max_workers = 1}};
      try {
        pool.submit(square, 3).get();
        return 1;
      } catch (const siding::BrokenExecutor& error) {
        try {
          std::rethrow_if_nested(error);
          return 2;
        } catch (const std::system_error& cause) {
          return cause.code().value() == EMFILE ? 0 : 3;
        }
      }
    });
    CHECK(status == 0);
  }

  TEST_CASE("where constructors close files that are not theirs, the error says so" *
            doctest::skip(is_snapshot())) {
    const Pool pool(1);
    Gate gate;
    const InZygotes closes(Does::close_files, gate.key());
    check_that(refusal(pool), "closed a file that it was given");
  }

  // PP-026
  TEST_CASE("a zygote that does not answer in time is given up after one start" *
            doctest::skip(is_snapshot())) {
    const auto usual = siding::detail::zygote_start_limit;
    CHECK(usual == std::chrono::seconds(30));
    siding::detail::zygote_start_limit = std::chrono::milliseconds(200);
    const Pool pool(1);
    Gate gate;
    const InZygotes waits(Does::wait, gate.key());

    const std::string text = refusal(pool);
    siding::detail::zygote_start_limit = usual;

    check_that(text, "it did not answer within 0.2 s: do constructors");
    CHECK(gate.arrivals() <= 1);  // none if it was given up before it came so far
  }

  TEST_CASE("a zygote that takes its time is waited for" *
            doctest::skip(is_snapshot())) {
    const Pool pool(1);
    Gate gate;
    const InZygotes waits(Does::wait, gate.key());
    const auto call = pool->submit(square, 3);
    gate.wait_for_arrivals(1);
    gate.open();
    CHECK(value_of(call) == 9);
  }

  TEST_CASE("a child that is forked while a zygote is being made can have a pool of its own" *
            doctest::skip(is_snapshot())) {
    if (thread_sanitized) return;
    const Pool pool(1);
    Gate gate;
    const InZygotes waits(Does::wait, gate.key());
    const auto call = pool->submit(square, 3);
    gate.wait_for_arrivals(1);  // the pool's manager waits for the zygote's answer

    const int status = status_in_child([] {
      ::unsetenv(variable);
      siding::ProcessPool own{{.max_workers = 1}};
      return own.submit(square, 5).get() == 25 ? 0 : 1;
    });
    gate.open();

    CHECK(status == 0);
    CHECK(value_of(call) == 9);
  }

  /// Moves this process, which has one thread, to an empty root; false where that is not allowed.
  bool leave_proc(const std::string& folder) {
    if (::chroot(folder.c_str()) == 0) return true;
    return ::unshare(CLONE_NEWUSER) == 0 && ::chroot(folder.c_str()) == 0;
  }

  TEST_CASE("without /proc a pool says that it is to be mounted" *
            doctest::skip(is_snapshot())) {
    const KeptForGood kept;
    std::string folder = std::filesystem::temp_directory_path() / "siding-test-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    constexpr int not_allowed = 77;
    const int status = status_in_child([&folder] {
      if (!leave_proc(folder)) return not_allowed;
      siding::ProcessPool pool{{.max_workers = 1}};
      try {
        pool.submit(square, 3).get();
        return 1;
      } catch (const siding::ProcessPoolUnavailable& error) {
        return std::string(error.what()).find("mount -t proc") != std::string::npos ? 0 : 2;
      }
    });
    std::filesystem::remove(folder);
    if (status == not_allowed) {
      MESSAGE("left out: chroot is not allowed here");
    } else {
      CHECK(status == 0);
    }
  }
}

}  // namespace
}  // namespace siding_test::process_pool_start_test
