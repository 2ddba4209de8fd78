// SPDX-License-Identifier: MIT
// Workers that are replaced, and those that are let go.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_replace_test {
namespace {

using namespace std::chrono_literals;
using Pool = PoolSubject;

int own_pid() { return ::getpid(); }
int pass_and_pid(GateKey key) {
  pass(key);
  return ::getpid();
}

/// Keeps so many bytes for good.
int leak(std::size_t bytes) {
  char* const memory = new char[bytes];
  std::memset(memory, 1, bytes);
  static std::vector<char*> kept;  // reachable, so that no sanitizer complains
  kept.push_back(memory);
  return ::getpid();
}

TEST_SUITE("ProcessPool: the life of workers") {
  // PP-016
  TEST_CASE("a worker is replaced after so many calls") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.max_tasks_per_child = 3;
    const Pool pool(options);
    std::vector<int> pids;
    for (int i = 0; i < 4; ++i) pids.push_back(value_of(pool->submit(own_pid)));
    CHECK(pids[0] == pids[1]);
    CHECK(pids[1] == pids[2]);
    CHECK(pids[2] != pids[3]);
    CHECK(pool->worker_count() == 1);
    CHECK(pool->statistics().retired == 1);
    CHECK(pool->statistics().started == 2);
  }

  // PP-016
  TEST_CASE("calls that are submitted at once are spread over as many workers as the limit asks for") {
    siding::ProcessPoolOptions options{.max_workers = 2};
    options.max_tasks_per_child = 5;
    const Pool pool(options);
    std::vector<siding::Future<int>> calls;
    for (int i = 0; i < 100; ++i) calls.push_back(pool->submit(own_pid));
    std::multiset<int> pids;
    for (const auto& call : calls) pids.insert(value_of(call));
    for (const int pid : pids) CHECK(pids.count(pid) <= 5);
    CHECK(pids.size() == 100);
    CHECK(pool->statistics().crashed == 0);
  }

  TEST_CASE("the initializer is no call, and runs in each worker that replaces another") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.initializer = [] { ::setenv("SIDING_TEST_INITIALIZED", "1", 1); };
    options.max_tasks_per_child = 1;
    const Pool pool(options);
    std::set<int> pids;
    for (int i = 0; i < 3; ++i) {
      CHECK(value_of(pool->submit([] { return ::getenv("SIDING_TEST_INITIALIZED") != nullptr; })));
      pids.insert(value_of(pool->submit(own_pid)));
    }
    CHECK(pids.size() == 3);
  }

  // PP-017
  TEST_CASE("a worker that has grown is replaced between calls, and one line says so" *
            doctest::skip(SIDING_SANITIZED)) {  // their shadow memory is the worker's own
    const LogCapture log;
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.name = "thumbnails";
    options.max_rss = 100U << 20U;
    const Pool pool(options);
    std::set<int> pids;
    for (int i = 0; i < 6; ++i) pids.insert(value_of(pool->submit(leak, 40U << 20U)));
    // Each worker holds two of them, and ends with the third.
    CHECK(pids.size() == 2);
    CHECK(becomes_true([&] { return log.lines().size() == 2; }));
    for (const std::string& line : log.lines()) {
      CAPTURE(line);
      CHECK(line.find("of pool thumbnails is replaced: it uses 1") != std::string::npos);
      CHECK(line.find("max_rss is 100.0 MiB") != std::string::npos);
    }
  }

  TEST_CASE("a worker that is old is replaced, though not in the middle of a call") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.max_age = 30ms;
    const Pool pool(options);
    Gate gate;
    const auto first = pool->submit(pass_and_pid, gate.key());
    gate.wait_for_arrivals(1);
    const auto second = pool->submit(own_pid);
    std::this_thread::sleep_for(60ms);
    CHECK_FALSE(first.done());
    gate.open();
    CHECK(value_of(first) != value_of(second));
    CHECK(becomes_true([&] { return pool->worker_count() == 0; }));
  }

  // PP-031
  TEST_CASE("an idle worker ends after a time, and comes back on demand") {
    siding::ProcessPoolOptions options{.max_workers = 2};
    options.idle_timeout = 20ms;
    const Pool pool(options);
    const int first = value_of(pool->submit(own_pid));
    CHECK(becomes_true([&] { return pool->worker_count() == 0; }));
    CHECK(::kill(first, 0) != 0);
    CHECK(value_of(pool->submit(own_pid)) != first);
  }

  TEST_CASE("as many idle workers stay as are asked for, those that were idle last") {
    siding::ProcessPoolOptions options{.max_workers = 3};
    options.idle_timeout = 20ms;
    options.min_workers = 1;
    const Pool pool(options);
    Gate gate;
    std::vector<siding::Future<int>> calls;
    for (int i = 0; i < 3; ++i) calls.push_back(pool->submit(pass_and_pid, gate.key()));
    gate.wait_for_arrivals(3);
    gate.open();
    for (const auto& call : calls) value_of(call);
    CHECK(becomes_true([&] { return pool->worker_count() == 1; }));
    const int kept = value_of(pool->submit(own_pid));
    CHECK(pool->worker_count() == 1);
    CHECK(value_of(pool->submit(own_pid)) == kept);
  }

  TEST_CASE("what was sent ahead to a worker that is let go is made by another") {
    siding::ProcessPoolOptions options{.max_workers = 2};
    options.max_age = 20ms;
    const Pool pool(options);
    for (int round = 0; round < 30; ++round) {
      std::vector<siding::Future<int>> calls;
      for (int i = 0; i < 40; ++i) {
        calls.push_back(pool->submit([] {
          ::usleep(500);
          return ::getpid();
        }));
      }
      for (const auto& call : calls) CHECK(value_of(call) > 0);
    }
    CHECK(pool->statistics().completed == 1200);
    CHECK(pool->statistics().crashed == 0);
    CHECK(pool->statistics().retired > 2);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_replace_test
