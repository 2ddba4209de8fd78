// SPDX-License-Identifier: MIT
// Of what workers are made: a clean copy of the program, the program as it is, or each on its own; and
// what is loaded before.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_method_test {
namespace {

using Pool = PoolSubject;
using siding::StartMethod;

int table = 1;   // as a constructor of a static object leaves it
int loaded = 0;  // by init

int read_table() { return table; }
int write_table(int value) { return table = value; }
int read_loaded() { return loaded; }
int parent_pid() { return ::getppid(); }
int square(int n) { return n * n; }

siding::ProcessPoolOptions with(StartMethod method) {
  siding::ProcessPoolOptions options{.max_workers = 1};
  options.start = method;
  return options;
}

/// While it lives the program's global variable has another value.
struct TableIs {
  explicit TableIs(int value) { table = value; }
  ~TableIs() { table = 1; }
  TableIs(const TableIs&) = delete;
  TableIs& operator=(const TableIs&) = delete;
};

TEST_SUITE("ProcessPool: start methods") {
  // PP-027
  TEST_CASE("a worker has what static objects made; of a snapshot, what the program has made of it") {
    const TableIs changed(42);
    for (const StartMethod method : {StartMethod::clean, StartMethod::isolated}) {
      const Pool pool = Pool::exactly(with(method));
      CHECK(value_of(pool->submit(read_table)) == 1);
    }
    const Pool pool = Pool::exactly(with(StartMethod::snapshot));
    table = 43;  // later
    CHECK(value_of(pool->submit(read_table)) == 42);
    CHECK(value_of(pool->submit(write_table, 7)) == 7);
    CHECK(table == 43);
  }

  // PP-002
  TEST_CASE("what one worker of a snapshot writes, no other one sees") {
    siding::ProcessPoolOptions options = with(StartMethod::snapshot);
    options.max_tasks_per_child = 1;
    const Pool pool = Pool::exactly(options);
    CHECK(value_of(pool->submit(write_table, 99)) == 99);
    CHECK(value_of(pool->submit(read_table)) == 1);
  }

  TEST_CASE("init runs once in the process that all workers are copied from") {
    for (const StartMethod method : {StartMethod::clean, StartMethod::snapshot}) {
      siding::ProcessPoolOptions options = with(method);
      options.init = [] { loaded = ::getpid(); };
      options.max_tasks_per_child = 1;
      const Pool pool = Pool::exactly(options);
      const int where = value_of(pool->submit(read_loaded));
      CHECK(where > 0);
      CHECK(value_of(pool->submit(parent_pid)) == where);
      CHECK(value_of(pool->submit(read_loaded)) == where);
      CHECK(loaded == 0);
    }
  }

  TEST_CASE("pools with the same start share a copy of the program, those with init have their own") {
    siding::ProcessPoolOptions plain = with(StartMethod::clean);
    siding::ProcessPoolOptions own = plain;
    own.init = [] { loaded = 1; };
    const LeakGuard guard;
    siding::ProcessPool first(plain);
    siding::ProcessPool second(plain);
    siding::ProcessPool third(own);
    const int parent = value_of(first.submit(parent_pid));
    CHECK(value_of(second.submit(parent_pid)) == parent);
    CHECK(value_of(third.submit(parent_pid)) != parent);
    CHECK(value_of(second.submit(read_loaded)) == 0);
  }

  TEST_CASE("an init that throws breaks the pool with its error") {
    siding::ProcessPoolOptions options = with(StartMethod::clean);
    options.init = [] { throw std::invalid_argument("no model"); };
    const Pool pool = Pool::exactly(options);
    const auto call = pool->submit(square, 3);
    try {
      value_of(call);
      FAIL("it was made");
    } catch (const siding::BrokenExecutor& error) {
      CHECK(std::string(error.what()).find("no model") != std::string::npos);
      CHECK_THROWS_AS(std::rethrow_if_nested(error), std::invalid_argument);
    }
    CHECK_THROWS_AS(pool->submit(square, 3), siding::BrokenExecutor);
    CHECK_FALSE(pool->healthy());
  }

  TEST_CASE("an init that ends its process breaks the pool") {
    siding::ProcessPoolOptions options = with(StartMethod::clean);
    options.init = [] { ::_exit(3); };
    const Pool pool = Pool::exactly(options);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(square, 3)),
                         doctest::Contains("init ended the process"), siding::BrokenExecutor);
  }

  TEST_CASE("an init that starts a thread is refused, because its process is to be copied" *
            doctest::skip(SIDING_SANITIZED)) {  // their own threads are not counted
    siding::ProcessPoolOptions options = with(StartMethod::clean);
    options.init = [] { std::thread([] { ::pause(); }).detach(); };
    const Pool pool = Pool::exactly(options);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(square, 3)), doctest::Contains("init started a thread"),
                         siding::ProcessPoolUnavailable);
  }

  TEST_CASE("each isolated worker is the program started anew") {
    siding::ProcessPoolOptions options = with(StartMethod::isolated);
    options.max_workers = 2;
    const Pool pool = Pool::exactly(options);
    Gate gate;
    std::vector<siding::Future<int>> calls;
    for (int i = 0; i < 2; ++i) {
      calls.push_back(pool->submit([](GateKey key) {
        pass(key);
        return ::getpid();
      }, gate.key()));
    }
    gate.wait_for_arrivals(2);
    gate.open();
    std::set<int> pids;
    for (const auto& call : calls) pids.insert(value_of(call));
    CHECK(pids.size() == 2);
    CHECK(value_of(pool->submit([] { return std::getenv("SIDING_ZYGOTE") == nullptr; })));
  }

  // PP-022
  TEST_CASE("no start method gives workers the program's files") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);  // inherited by what the program executes
    for (const StartMethod method :
         {StartMethod::clean, StartMethod::snapshot, StartMethod::isolated}) {
      const Pool pool = Pool::exactly(with(method));
      const auto same = [](unsigned long inode) {
        int count = 0;
        for (int file = 0; file < 4096; ++file) count += Gate::inode(file) == inode ? 1 : 0;
        return count;
      };
      CHECK(value_of(pool->submit(same, Gate::inode(ends[0]))) == 0);
    }
    ::close(ends[0]);
    ::close(ends[1]);
  }

  TEST_CASE("a snapshot that was made on a loop's thread has no loop in its workers") {
    siding::run([]() -> siding::Task<> {
      siding::ProcessPool pool(with(StartMethod::snapshot));
      const auto nested = [] {
        siding::ThreadPool threads({.max_workers = 1});
        return threads.submit(square, 6).get();  // blocks: refused on a loop's thread
      };
      CHECK(co_await siding::offload(pool, nested) == 36);
      co_await pool.close();
    }());
  }

  TEST_CASE("when the process that workers are copied from is killed, another takes its place") {
    for (const StartMethod method :
         {StartMethod::clean, StartMethod::snapshot, StartMethod::isolated}) {
      const Pool pool = Pool::exactly(with(method));
      const int parent = value_of(pool->submit(parent_pid));
      ::kill(parent, SIGKILL);
      CHECK(becomes_true([&] { return pool->worker_count() == 0; }));
      CHECK(value_of(pool->submit(parent_pid)) != parent);
    }
  }
}

}  // namespace
}  // namespace siding_test::process_pool_method_test
