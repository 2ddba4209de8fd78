// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "support/shared_counts.hpp"

namespace siding_test::process_pool_test {
namespace {

using Pool = PoolSubject;

std::pair<int, int> pid_and_square(int n) { return {::getpid(), n * n}; }
int own_pid() { return ::getpid(); }
int pass_and_pid(GateKey key) {
  pass(key);
  return ::getpid();
}

TEST_SUITE("ProcessPool") {
  // PP-001
  TEST_CASE("calls run in other processes, at most max_workers of them, used again and again") {
    const Pool pool(3);
    std::vector<siding::Future<std::pair<int, int>>> calls;
    for (int n = 0; n < 6; ++n) calls.push_back(pool->submit(pid_and_square, n));

    std::set<int> pids;
    for (int n = 0; n < 6; ++n) {
      const auto [pid, square] = value_of(calls[static_cast<std::size_t>(n)]);
      CHECK(square == n * n);
      pids.insert(pid);
    }

    CHECK(pids.size() <= 3);
    CHECK_FALSE(pids.contains(::getpid()));
  }

  int changed = 1;
  int change_and_get() { return changed = 99; }
  int get_after(GateKey key) {
    pass(key);
    return changed;
  }

  // PP-002
  TEST_CASE("what a call does to global variables stays in its worker") {
    const Pool pool(2);
    Gate gate;
    // Each holds a worker, so that the one that changes the variable and the one that looks differ.
    const auto looker = pool->submit(get_after, gate.key());
    gate.wait_for_arrivals(1);

    CHECK(value_of(pool->submit(change_and_get)) == 99);
    gate.open();

    CHECK(value_of(looker) == 1);
    CHECK(changed == 1);
  }

  // PP-003
  TEST_CASE("workers are made on demand, and an idle one is used again") {
    const Pool pool(4);
    CHECK(pool->worker_count() == 0);
    std::set<int> pids;

    for (int i = 0; i < 3; ++i) pids.insert(value_of(pool->submit(own_pid)));

    CHECK(pids.size() == 1);
    CHECK(pool->worker_count() == 1);
  }

  // EX-012
  TEST_CASE("by default there are as many workers as usable processors, and 0 is refused") {
    const siding::ProcessPool pool;
    CHECK(pool.max_workers() >= 1);
    CHECK(pool.max_workers() <= std::thread::hardware_concurrency());
    CHECK_THROWS_WITH_AS(
        siding::ProcessPool(siding::ProcessPoolOptions{.max_workers = 0}),
        "ProcessPoolOptions::max_workers must be at least 1; leave it out for the default",
        std::invalid_argument);
  }

  TEST_CASE("a pool may have 4096 workers, and more are refused") {
    const siding::ProcessPool largest{{.max_workers = 4096}};
    CHECK(largest.max_workers() == 4096);
    for (const std::size_t workers : {std::size_t{4097}, ~std::size_t{0}}) {
      CHECK_THROWS_WITH_AS(siding::ProcessPool(siding::ProcessPoolOptions{.max_workers = workers}),
                           doctest::Contains("max_workers must be at most 4096: each worker is a "
                                             "process"),
                           std::invalid_argument);
    }
  }

  std::vector<std::uint64_t> echo(std::vector<std::uint64_t> values) { return values; }

  // PP-023
  TEST_CASE("arguments and results of a megabyte, and larger than the arena, pass both ways at once") {
    const Pool pool(2);
    for (const std::size_t bytes : {std::size_t{1} << 20, std::size_t{6} << 20}) {
      std::vector<std::vector<std::uint64_t>> sent;
      std::vector<siding::Future<std::vector<std::uint64_t>>> calls;
      for (std::uint64_t i = 0; i < 8; ++i) {
        sent.emplace_back(bytes / sizeof(std::uint64_t), i);
        calls.push_back(pool->submit(echo, sent.back()));
      }
      for (std::size_t i = 0; i < calls.size(); ++i) {
        CHECK((value_of(calls[i]) == sent[i]));
      }
    }
  }

  int print_much() {
    const std::string text(1 << 16, '.');
    for (int i = 0; i < 16; ++i) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fwrite(text.data(), 1, text.size(), stderr);
    }
    return 7;
  }

  // PP-025
  TEST_CASE("a call may print a megabyte, and the text goes to the program's own streams") {
    int pipes[2][2];
    std::vector<int> kept;
    std::vector<std::thread> readers;
    std::atomic<std::size_t> received{0};
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
      auto& pipe = pipes[stream - 1];
      REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
      kept.push_back(::dup(stream));
      ::dup2(pipe[1], stream);
      ::close(pipe[1]);
      readers.emplace_back([&received, end = pipe[0]] {
        char buffer[4096];
        for (ssize_t got = 0; (got = ::read(end, buffer, sizeof buffer)) > 0;) {
          received += static_cast<std::size_t>(got);
        }
        ::close(end);
      });
    }
    int first = 0;
    int second = 0;
    {
      siding::ProcessPool pool{{.max_workers = 1}};
      first = pool.submit(print_much).get(hang_limit);
      second = pool.submit(print_much).get(hang_limit);
    }
    ::dup2(kept[0], STDOUT_FILENO);
    ::dup2(kept[1], STDERR_FILENO);
    for (const int descriptor : kept) ::close(descriptor);
    for (std::thread& reader : readers) reader.join();

    CHECK(first == 7);
    CHECK(second == 7);
    CHECK(received == 4U << 20);
  }

  int nested() {
    siding::ProcessPool inner{{.max_workers = 1}};
    return inner.submit(own_pid).get();
  }

  // PP-028
  TEST_CASE("a pool inside a worker refuses calls with a text that says why") {
    const Pool pool(1);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(nested)),
                         doctest::Contains("this is a worker process"), siding::BrokenExecutor);
  }

  // PP-030
  TEST_CASE("many calls can be submitted before one result is read") {
    const Pool pool(2);
    constexpr int count = 20'000;
    std::vector<siding::Future<int>> calls;
    calls.reserve(count);
    for (int i = 0; i < count; ++i) calls.push_back(pool->submit([](int n) { return n + 1; }, i));

    std::int64_t sum = 0;
    for (const auto& call : calls) sum += value_of(call);

    CHECK(sum == std::int64_t{count} * (count + 1) / 2);
  }

  struct Scale {
    int factor;
    int operator()(int n) const { return factor * n; }
  };
  struct Account {
    std::string owner;
    int balance;
    std::string describe(int added) const { return owner + ":" + std::to_string(balance + added); }
  };

  TEST_CASE("functors, member functions, string literals and lambdas cross as they are written") {
    const Pool pool(1);

    CHECK(value_of(pool->submit(Scale{3}, 14)) == 42);
    CHECK(value_of(pool->submit(&Account::describe, Account{"ann", 40}, 2)) == "ann:42");
    CHECK(value_of(pool->submit(
              [](const char* text, std::string_view more) { return text + std::string(more); },
              "si", "ding")) == "siding");
    CHECK(value_of(pool->submit({.name = "named"}, own_pid)) != ::getpid());
  }

  int initialized = 0;
  void initialize() { ++initialized; }
  int get_initialized() { return initialized; }

  // EX-023
  TEST_CASE("the initializer runs once in each worker, before its first call") {
    const Pool pool(siding::ProcessPoolOptions{.max_workers = 2, .initializer = initialize});
    for (int i = 0; i < 5; ++i) CHECK(value_of(pool->submit(get_initialized)) == 1);
  }

  void fail_to_initialize() { throw std::runtime_error("no configuration"); }

  // EX-024, EX-025
  TEST_CASE("an initializer that throws breaks the pool: all work fails with its error, at once") {
    const Pool pool(
        siding::ProcessPoolOptions{.max_workers = 1, .initializer = fail_to_initialize});
    std::vector<siding::Future<int>> calls;
    for (int i = 0; i < 3; ++i) {
      try {
        calls.push_back(pool->submit(own_pid));
      } catch (const siding::BrokenExecutor&) {
        break;  // the initializer was faster
      }
    }
    for (const auto& call : calls) {
      try {
        value_of(call);
        FAIL("it should have failed");
      } catch (const siding::BrokenExecutor& error) {
        CHECK(std::string(error.what()).find("no configuration") != std::string::npos);
        CHECK_THROWS_WITH_AS(std::rethrow_if_nested(error), "no configuration",
                             std::runtime_error);
      }
    }
    CHECK(becomes_true([&] {
      try {
        pool->submit(own_pid);
        return false;
      } catch (const siding::BrokenExecutor&) {
        return true;
      }
    }));
  }

  // Counts itself in the counts that the environment names, and ends its process.
  void die_while_starting() {
    CountsKey counts{};
    std::istringstream(std::getenv("SIDING_TEST_STARTS")) >> counts.process >> counts.descriptor >>
        counts.size;
    raise_count(counts, 0);
    ::_exit(3);
  }

  // PP-009
  TEST_CASE("a worker that always dies while it starts is started a few times, and breaks the pool") {
    const SharedCounts starts(1);
    const CountsKey key = starts.key();
    std::ostringstream text;
    text << key.process << ' ' << key.descriptor << ' ' << key.size;
    ::setenv("SIDING_TEST_STARTS", text.str().c_str(), 1);
    const Pool pool(
        siding::ProcessPoolOptions{.max_workers = 2, .initializer = die_while_starting});

    const auto call = pool->submit(own_pid);

    CHECK_THROWS_WITH_AS(value_of(call), doctest::Contains("exit status 3"), siding::BrokenExecutor);
    CHECK_THROWS_AS(pool->submit(own_pid), siding::BrokenExecutor);
    CHECK(starts[0] >= 1);
    CHECK(starts[0] <= 10);
    ::unsetenv("SIDING_TEST_STARTS");
  }

  TEST_CASE("two pools live side by side, and the second one is not disturbed by the first's end") {
    auto first = std::make_unique<siding::ProcessPool>(siding::ProcessPoolOptions{.max_workers = 1});
    siding::ProcessPool second{{.max_workers = 1}};
    CHECK(value_of(first->submit(own_pid)) != value_of(second.submit(own_pid)));
    first.reset();
    CHECK(value_of(second.submit([](int n) { return n; }, 5)) == 5);
  }

  TEST_CASE("a queued call of a busy worker moves to one that becomes free") {
    const Pool pool(2);
    Gate blocked;
    Gate freed;
    // Both workers are busy, and each has one call sent ahead.
    const auto a = pool->submit(pass_and_pid, blocked.key());
    blocked.wait_for_arrivals(1);
    const auto b = pool->submit(pass_and_pid, freed.key());
    freed.wait_for_arrivals(1);
    std::vector<siding::Future<int>> waiting;
    for (int i = 0; i < 6; ++i) waiting.push_back(pool->submit(own_pid));

    freed.open();

    const int pid = value_of(b);
    for (const auto& call : waiting) CHECK(value_of(call) == pid);
    blocked.open();
    CHECK(value_of(a) != pid);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_test
