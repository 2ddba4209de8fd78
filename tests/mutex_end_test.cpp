// SPDX-License-Identifier: MIT
// Mutex: two loops, other threads, destruction.
#include <siding/mutex.hpp>

#include <siding/create_task.hpp>
#include <siding/detail/sanitizers.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/child.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::mutex_end_test {
namespace {

using siding::Future;
using siding::InvalidStateError;
using siding::Mutex;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

// Locks and notes that it has.
Task<> locks(Mutex& mutex, std::vector<int>& log, int name) {
  const Mutex::Guard guard = co_await mutex.lock();
  log.push_back(name);
  co_await siding::yield();
}

TEST_SUITE("Mutex, its surroundings") {
  // SY-012
  TEST_CASE("it may be made before any loop runs, and refuses to serve two loops") {
    static Mutex mutex;
    VirtualLoop one;
    VirtualLoop two;
    std::vector<int> log;
    auto contend = [&]() -> Task<> {
      const Future<> first = siding::create_task(locks(mutex, log, 1));
      const Future<> second = siding::create_task(locks(mutex, log, 2));
      co_await first;
      co_await second;
    };

    one.loop.run_until_complete(contend);

    CHECK(log == std::vector{1, 2});
    const char* refusal =
        "Mutex::lock: this object serves another event loop than the one of this task; make one "
        "for each loop";
    auto wait_elsewhere = [&]() -> Task<> {
      const Mutex::Guard guard = co_await mutex.lock();  // nobody waits: it is free to all
      CHECK_THROWS_WITH_AS(static_cast<void>(co_await mutex.lock()), refusal, InvalidStateError);
    };
    two.loop.run_until_complete(wait_elsewhere);
    CHECK_FALSE(mutex.locked());
  }

  TEST_CASE("it serves another loop when the first one is closed") {
    Mutex mutex;
    for (int run = 0; run < 2; ++run) {
      VirtualLoop virtual_loop;
      std::vector<int> log;
      auto contend = [&]() -> Task<> {
        const Future<> first = siding::create_task(locks(mutex, log, 1));
        const Future<> second = siding::create_task(locks(mutex, log, 2));
        co_await first;
        co_await second;
      };
      virtual_loop.loop.run_until_complete(contend);
      CHECK(log == std::vector{1, 2});
    }
  }

  TEST_CASE("a release on another thread, which could not wake who waits, is an error") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      std::vector<int> log;
      Mutex::Guard guard = co_await mutex.lock();
      const Future<> waits = siding::create_task(locks(mutex, log, 1));
      co_await turns(1);

      std::thread([&] { CHECK_THROWS_AS(guard.release(), std::logic_error); }).join();

      CHECK(guard);
      guard.release();
      co_await waits;
      CHECK(log == std::vector{1});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a guard that another thread destroys while tasks wait ends the program" *
            doctest::skip(SIDING_SANITIZED) *
            doctest::description("the thread sanitizer allows a child no threads")) {
    const int status = siding_test::status_in_child([] {
      ::signal(SIGABRT, SIG_DFL);
      ::close(STDERR_FILENO);  // the runtime says there what was thrown
      VirtualLoop virtual_loop;
      auto body = [&]() -> Task<> {
        Mutex mutex;
        std::vector<int> log;
        Mutex::Guard guard = co_await mutex.lock();
        const Future<> waits = siding::create_task(locks(mutex, log, 1));
        co_await turns(1);
        auto destroys = [&guard] { const Mutex::Guard theirs = std::move(guard); };
        std::thread(destroys).join();
      };
      virtual_loop.loop.run_until_complete(body);
      return 0;
    });
    CHECK(status == siding_test::killed_by(SIGABRT));
  }

  TEST_CASE("destroying it ends the waits and empties the guard") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Mutex> mutex(std::in_place);
      std::vector<int> log;
      Mutex::Guard guard = co_await mutex->lock();
      const Future<> first = siding::create_task(locks(*mutex, log, 1));
      const Future<> second = siding::create_task(locks(*mutex, log, 2));
      co_await turns(1);

      SUBCASE("while it is held") {
        mutex.reset();
        CHECK_FALSE(guard);
      }
      SUBCASE("while it is being handed over") {
        guard.release();
        mutex.reset();
      }
      CHECK_THROWS_AS(co_await first, InvalidStateError);
      CHECK_THROWS_AS(co_await second, InvalidStateError);
      CHECK(log.empty());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a loop may be closed while tasks hold it, were handed it and wait for it") {
    Mutex mutex;
    std::vector<int> log;
    {
      VirtualLoop virtual_loop;
      Mutex::Guard guard = mutex.try_lock();
      auto body = [&]() -> Task<> {
        for (int i = 1; i <= 3; ++i)
          siding::create_task(locks(mutex, log, i));
        co_await turns(1);
      };
      virtual_loop.loop.run_until_complete(body);
      guard.release();  // the first is handed it, and never resumes
      CHECK(mutex.locked());
    }

    CHECK(log.empty());
    CHECK_FALSE(mutex.locked());
  }
}

}  // namespace
}  // namespace siding_test::mutex_end_test
