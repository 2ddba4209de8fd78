// SPDX-License-Identifier: MIT
// How pools end and break: shutdown, destruction, initializers, signals.

#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"

namespace siding_test::thread_pool_end_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::LeakGuard;
using siding_test::LogCapture;
using siding_test::pass;
using siding_test::pass_with;

thread_local int initialized = 0;

// The texts of an error and of all that is nested in it.
std::string chain_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    std::string text = exception.what();
    try {
      std::rethrow_if_nested(exception);
    } catch (...) {
      text += " <- " + chain_of(std::current_exception());
    }
    return text;
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::atomic<int> signals{0};
std::atomic<pid_t> signalled_thread{0};
std::atomic<bool> signalled_another{false};

void on_signal(int) {
  ++signals;
  if (::gettid() != signalled_thread) signalled_another = true;
}

}  // namespace

TEST_SUITE("ThreadPool") {
  // EX-023
  TEST_CASE("the initializer runs once in each worker, before its first call") {
    ThreadPool pool{{.max_workers = 4, .initializer = [] { ++initialized; }}};
    Gate gate;
    std::vector<Future<int>> calls;

    for (int i = 0; i < 4; ++i) {
      calls.push_back(pool.submit([key = gate.key()] { return pass_with(key, initialized); }));
    }
    gate.wait_for_arrivals(4);
    gate.open();
    for (int i = 0; i < 20; ++i)
      calls.push_back(pool.submit([] { return initialized; }));

    for (const auto& call : calls)
      CHECK(call.get(hang_limit) == 1);
    CHECK(initialized == 0);
  }

  // EX-024, EX-025
  TEST_CASE("an initializer that throws breaks the pool, and its error is nested in each refusal") {
    const LogCapture log;
    Gate gate;
    ThreadPool pool{{.max_workers = 1, .thread_name_prefix = "broken", .initializer = [&] {
                       pass(gate.key());
                       throw std::runtime_error("init");
                     }}};

    const auto first = pool.submit([] { return 1; });
    const auto queued = pool.submit([] { return 2; });
    gate.open();
    CHECK_THROWS_AS(first.get(hang_limit), siding::BrokenExecutor);
    CHECK_THROWS_AS(queued.get(hang_limit), siding::BrokenExecutor);
    CHECK_THROWS_AS(pool.submit([] { return 3; }), siding::BrokenExecutor);

    CHECK(contains(chain_of(first.exception()), " <- init"));
    CHECK(contains(chain_of(queued.exception()), " <- init"));
    std::string refusal;
    try {
      pool.submit([] { return 3; });
    } catch (...) {
      refusal = chain_of(std::current_exception());
    }
    CHECK(contains(refusal, " <- init"));
    pool.shutdown();
    const auto lines = log.lines();
    REQUIRE(lines.size() == 1);
    CHECK(contains(lines[0], "std::runtime_error: init"));
    CHECK(contains(lines[0], "broken"));
  }

  // EX-024
  TEST_CASE("a call that runs when its pool breaks ends with its value") {
    const LogCapture log;
    std::atomic<int> workers{0};
    Gate gate;
    ThreadPool pool{{.max_workers = 2, .initializer = [&] {
                       if (++workers == 2) throw std::runtime_error("init");
                     }}};

    const auto running = pool.submit([key = gate.key()] { return pass_with(key, 1); });
    gate.wait_for_arrivals(1);
    const auto broken = pool.submit([] { return 2; });
    CHECK_THROWS_AS(broken.get(hang_limit), siding::BrokenExecutor);
    gate.open();

    CHECK(running.get(hang_limit) == 1);
    CHECK(pool.shutdown());
  }

  TEST_CASE("a call does not wait for the initializer of a new worker while another is free") {
    std::atomic<int> workers{0};
    Gate initializing;
    ThreadPool pool{{.max_workers = 2, .initializer = [&] {
                       if (++workers == 2) pass(initializing.key());
                     }}};
    Gate gate;
    const auto first = pool.submit(pass_with, gate.key(), 1);
    gate.wait_for_arrivals(1);

    const auto second = pool.submit([] { return 2; });
    initializing.wait_for_arrivals(1);
    CHECK_FALSE(second.done());
    gate.open();

    CHECK(second.get(5s) == 2);
    CHECK(first.get() == 1);
    initializing.open();
  }

  // TP-009
  TEST_CASE("a worker cannot wait for the end of its own pool, but it can begin it") {
    ThreadPool pool{{.max_workers = 2}};

    const auto waits = pool.submit([&pool] { pool.shutdown(); });
    CHECK_THROWS_AS(waits.get(hang_limit), std::logic_error);
    CHECK(pool.submit([] { return 1; }).get(hang_limit) == 1);

    pool.submit([&pool] { pool.shutdown({.wait = false}); }).get(hang_limit);
    CHECK_THROWS_AS(pool.submit([] { return 1; }), siding::ShutdownError);
  }

  TEST_CASE("a worker may shut another pool down and wait for it") {
    ThreadPool one{{.max_workers = 1}};
    ThreadPool two{{.max_workers = 1}};
    const auto call = two.submit([] { return 2; });

    one.submit([&two] { two.shutdown(); }).get(hang_limit);

    CHECK(call.done());
  }

  // EX-017
  TEST_CASE("shutdown with cancel_pending cancels exactly what no worker has begun") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    std::vector<Future<int>> calls;
    for (int n = 0; n < 50; ++n)
      calls.push_back(pool.submit(pass_with, gate.key(), n));
    gate.wait_for_arrivals(2);

    pool.shutdown({.wait = false, .cancel_pending = true});
    gate.open();
    pool.shutdown();

    CHECK(calls[0].result() == 0);
    CHECK(calls[1].result() == 1);
    for (std::size_t n = 2; n < calls.size(); ++n)
      CHECK(calls[n].cancelled());
    CHECK(gate.arrivals() == 2);
  }

  TEST_CASE("a pool may be shut down from a callback of a call that the shutdown cancels") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    const auto call = pool.submit(pass, gate.key());
    bool called = false;
    call.add_done_callback([&] {
      called = true;
      pool.shutdown({.wait = false});
      CHECK_THROWS_AS(pool.submit([] {}), siding::ShutdownError);
    });

    pool.shutdown({.wait = false, .cancel_pending = true});

    CHECK(called);
  }

  TEST_CASE("destroying a pool waits for what runs and what is queued, and wakes who is idle") {
    const LeakGuard guard;
    std::atomic<int> ended{0};
    {
      ThreadPool pool{{.max_workers = 3}};
      Gate gate;
      for (int i = 0; i < 3; ++i)
        pool.submit(pass, gate.key());
      gate.wait_for_arrivals(3);
      gate.open();
      for (int i = 0; i < 9; ++i) {
        pool.submit([&ended] {
          std::this_thread::sleep_for(1ms);
          ++ended;
        });
      }
    }
    CHECK(ended == 9);

    const ThreadPool unused;
    std::optional<ThreadPool> idle(siding::ThreadPoolOptions{.max_workers = 4});
    idle->submit([] {}).get(hang_limit);
    idle.reset();
  }

  TEST_CASE("futures outlive their pool") {
    auto pool = std::make_unique<ThreadPool>();
    const auto finished = pool->submit([] { return std::string("value"); });
    const auto failed = pool->submit([]() -> int { throw std::runtime_error("boom"); });

    pool.reset();

    CHECK(finished.get() == "value");
    CHECK_THROWS_AS(failed.get(), std::runtime_error);
    CHECK_FALSE(finished.cancel());
  }

  // TP-012
  TEST_CASE("workers block the signals that can be sent to a process") {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
    signalled_thread = ::gettid();
    ThreadPool pool{{.max_workers = 4}};
    Gate gate;
    for (int i = 0; i < 3; ++i)
      pool.submit(pass, gate.key());
    gate.wait_for_arrivals(3);

    const auto blocked = pool.submit([] {
      sigset_t mask;
      ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      std::array<bool, 4> result{};
      std::size_t i = 0;
      for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGSEGV}) {
        result[i++] = ::sigismember(&mask, number) == 1;
      }
      return result;
    });
    sigset_t own;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &own);
    CHECK(::sigismember(&own, SIGUSR1) == 0);  // the submitter's mask is as it was
    // Blocked here too, so nobody can take the signal, and what was sent is one that waits.
    sigset_t usr1;
    ::sigemptyset(&usr1);
    ::sigaddset(&usr1, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
    for (int i = 0; i < 100; ++i)
      ::kill(::getpid(), SIGUSR1);

    CHECK(blocked.get(hang_limit) == std::array{true, true, true, false});
    CHECK(signals == 0);
    ::pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
    CHECK(signals == 1);
    CHECK_FALSE(signalled_another);
    ::sigaction(SIGUSR1, &before, nullptr);
  }
}

}  // namespace siding_test::thread_pool_end_test
