// SPDX-License-Identifier: MIT
// What becomes of calls that kill their workers: reports, further attempts, pools that break.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/gate.hpp"
#include "support/process_pool_subject.hpp"
#include "support/shared_counts.hpp"

namespace siding_test::process_pool_retry_test {

// Not in an unnamed namespace: a report names it.
[[gnu::noinline]] int write_to(volatile int* where) {
  *where = 1;
  return *where;
}

namespace {

using Pool = PoolSubject;

int square(int n) { return n * n; }

/// Dies of its first `crashes` attempts.
int crash_at_first(CountsKey key, int crashes) {
  const int attempt = raise_count(key, 0);
  if (attempt <= crashes) ::_exit(40 + attempt);
  return attempt;
}

int write_to_null() {
  ::signal(SIGSEGV, SIG_DFL);  // as if no sanitizer were there
  return write_to(nullptr);
}

// Not a tail call, which would leave no frame of its own.
int segfault() { return write_to(reinterpret_cast<volatile int*>(64)) + 1; }

int end_by(GateKey key, int signal) {
  pass(key);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  return 0;
}

void throw_it() { throw std::runtime_error("of no use"); }
int throw_in_noexcept() noexcept {
  throw_it();
  return 0;
}

std::vector<int> use_much() {
  std::vector<int> much(20 << 20, 1);
  asm volatile("" : : "g"(much.data()) : "memory");  // or a compiler may do without it
  ::_exit(static_cast<int>(much[3]));
}

siding::CrashDetails crash_of(const siding::Future<int>& call) {
  try {
    value_of(call);
  } catch (const siding::WorkerCrashed& crash) {
    return crash.details();
  }
  FAIL("the worker lives");
  return {};
}

TEST_SUITE("ProcessPool: calls that kill their workers") {
  // PP-032
  TEST_CASE("a call is made again as often as it may, and its result counts") {
    const Pool pool(1);
    const SharedCounts counts(1);
    CHECK(value_of(pool->submit({.retries = 2}, crash_at_first, counts.key(), 2)) == 3);
    CHECK(counts[0] == 3);
    CHECK(pool->statistics().retried == 2);
    CHECK(pool->statistics().crashed == 2);
  }

  // PP-032
  TEST_CASE("a call that dies once more than it may fails with all reports") {
    const Pool pool(1);
    const SharedCounts counts(1);
    const auto call =
        pool->submit({.name = "parse", .retries = 1}, crash_at_first, counts.key(), 2);
    try {
      value_of(call);
      FAIL("it was made a third time");
    } catch (const siding::PoisonCall&) {
      FAIL("it was not the limit of the pool");
    } catch (const siding::WorkerCrashed& crash) {
      CHECK(crash.details().attempt == 2);
      CHECK(crash.exit_status() == 42);
      REQUIRE(crash.details().earlier.size() == 1);
      CHECK(crash.details().earlier[0].exit_status() == 41);
      CHECK(crash.details().earlier[0].pid() != crash.pid());
      const std::string text = crash.what();
      CHECK(text.find("while it ran parse (attempt 2)") != std::string::npos);
      const std::string report = crash.report();
      CHECK(report.find("exit status 42") != std::string::npos);
      CHECK(report.find("exit status 41") != std::string::npos);
    }
    CHECK(counts[0] == 2);
    CHECK(value_of(pool->submit(square, 3)) == 9);
  }

  TEST_CASE("a call that goes on killing workers is stopped by the pool's limit") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.poison_limit = 2;
    const Pool pool(options);
    const SharedCounts counts(1);
    const auto call = pool->submit({.retries = 100}, crash_at_first, counts.key(), 100);
    CHECK_THROWS_WITH_AS(value_of(call), doctest::Contains("It has killed 2 workers"),
                         siding::PoisonCall);
    CHECK(counts[0] == 2);
  }

  TEST_CASE("a call without retries is never made again") {
    const Pool pool(1);
    const SharedCounts counts(1);
    CHECK_THROWS_AS(value_of(pool->submit(crash_at_first, counts.key(), 1)), siding::WorkerCrashed);
    CHECK(value_of(pool->submit(square, 3)) == 9);
    CHECK(counts[0] == 1);
  }

  // SE-008
  TEST_CASE("the report of a crash says the address and the function" *
            doctest::skip(SIDING_SANITIZED)) {  // whose own report takes its place
    const Pool pool(1);
    const siding::CrashDetails details = crash_of(pool->submit(segfault));
    CHECK(details.signal == SIGSEGV);
    REQUIRE(details.fault_address.has_value());
    CHECK(*details.fault_address == 64);
    CHECK(details.attempt == 1);
    CAPTURE(details.backtrace);
    const std::string innermost = details.backtrace.substr(0, details.backtrace.find('\n'));
    CHECK(innermost.find("write_to") != std::string::npos);
    CHECK(details.backtrace.find("segfault") != std::string::npos);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(segfault)),
                         doctest::Contains("was killed by SIGSEGV at address 0x40 while it ran"),
                         siding::WorkerCrashed);
  }

  TEST_CASE("the report of an uncaught error holds its text") {
    const Pool pool(1);
    const siding::CrashDetails details = crash_of(pool->submit(throw_in_noexcept));
    CHECK(details.message == "terminate called after throwing std::runtime_error: of no use");
  }

  TEST_CASE("the report says what the worker has used") {
    const Pool pool(1);
    try {
      value_of(pool->submit(use_much));
      FAIL("the worker lives");
    } catch (const siding::WorkerCrashed& crash) {
      CHECK(crash.details().usage.max_rss > 80U << 20U);
      CHECK(crash.details().usage.user_time + crash.details().usage.system_time >
            std::chrono::microseconds(0));
      CHECK(crash.exit_status() == 1);
    }
  }

  TEST_CASE("errors without a report have none") {
    const Pool pool(1);
    Gate gate;
    gate.open();
    const siding::CrashDetails details = crash_of(pool->submit(end_by, gate.key(), SIGKILL));
    CHECK(details.signal == SIGKILL);
    CHECK_FALSE(details.fault_address.has_value());
    CHECK(details.backtrace.empty());
    CHECK(details.message.empty());
    CHECK(details.last_output.empty());
  }

  // PP-007
  TEST_CASE("a pool that is to break at a crash fails all that is unfinished, and refuses more") {
    siding::ProcessPoolOptions options{.max_workers = 2};
    options.on_crash = siding::OnCrash::break_pool;
    const Pool pool(options);
    Gate gate;
    Gate never;
    const auto other = pool->submit(pass_with, never.key(), 1);
    never.wait_for_arrivals(1);
    const auto victim = pool->submit({.retries = 3}, end_by, gate.key(), SIGKILL);
    gate.wait_for_arrivals(1);
    std::vector<siding::Future<int>> waiting;
    for (int n = 0; n < 3; ++n) waiting.push_back(pool->submit(square, n));

    gate.open();

    CHECK_THROWS_AS(value_of(victim), siding::WorkerCrashed);
    CHECK_THROWS_AS(value_of(other), siding::BrokenExecutor);
    for (const auto& call : waiting) CHECK_THROWS_AS(value_of(call), siding::BrokenExecutor);
    CHECK_THROWS_AS(pool->submit(square, 3), siding::BrokenExecutor);
    CHECK_FALSE(pool->healthy());
    CHECK(becomes_true([&] { return pool->worker_count() == 0; }));
  }

  // PP-008
  TEST_CASE("each call that one crash fails has an error of its own, and so has its cause") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.on_crash = siding::OnCrash::break_pool;
    const Pool pool(options);
    Gate gate;
    std::vector<siding::Future<int>> calls;
    calls.push_back(pool->submit(end_by, gate.key(), SIGKILL));
    for (int n = 0; n < 2; ++n) calls.push_back(pool->submit(square, n));
    gate.open();
    std::set<const void*> errors;
    for (const auto& call : calls) {
      try {
        value_of(call);
        FAIL("it was made");
      } catch (const siding::BrokenExecutor& error) {
        errors.insert(&error);
        CHECK(std::string(error.what()).find("SIGKILL") != std::string::npos);
        try {
          std::rethrow_if_nested(error);
        } catch (const siding::WorkerCrashed& cause) {
          errors.insert(&cause);
        }
      }
    }
    CHECK(errors.size() == 5);
  }

  TEST_CASE("a null pointer is told by its address" * doctest::skip(SIDING_SANITIZED)) {
    const Pool pool(1);
    // The handler of the worker was replaced by the default one: there is only the signal.
    const siding::CrashDetails details = crash_of(pool->submit(write_to_null));
    CHECK(details.signal == SIGSEGV);
    CHECK_FALSE(details.fault_address.has_value());
  }
}

}  // namespace
}  // namespace siding_test::process_pool_retry_test
