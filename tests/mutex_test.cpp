// SPDX-License-Identifier: MIT
#include <siding/mutex.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/sleep.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::mutex_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Future;
using siding::InvalidStateError;
using siding::Mutex;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

// Locks, notes that it has, and holds the mutex until it is cancelled.
Task<> locks(Mutex& mutex, std::vector<int>& log, int name) {
  const Mutex::Guard guard = co_await mutex.lock();
  log.push_back(name);
  co_await siding::sleep({});
}

Task<> locks_once(Mutex& mutex, std::vector<int>& log, int name) {
  const Mutex::Guard guard = co_await mutex.lock();
  log.push_back(name);
}

TEST_SUITE("Mutex") {
  // SY-001
  TEST_CASE("one task holds it at a time, and those that wait get it in their order") {
    VirtualLoop virtual_loop;
    Mutex mutex;
    std::vector<int> order;
    int holders = 0;
    int most = 0;
    auto works = [&](int name) -> Task<> {
      const Mutex::Guard guard = co_await mutex.lock();
      most = std::max(most, ++holders);
      order.push_back(name);
      co_await siding::sleep(5ms);
      --holders;
    };
    auto body = [&]() -> Task<> {
      std::vector<Future<>> tasks;
      for (int i = 1; i <= 5; ++i)
        tasks.push_back(siding::create_task(works(i)));
      for (const Future<>& task : tasks)
        co_await task;
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(order == std::vector{1, 2, 3, 4, 5});
    CHECK(most == 1);
    CHECK(virtual_loop.elapsed() == 25ms);
    CHECK_FALSE(mutex.locked());
  }

  TEST_CASE("a free mutex is taken without suspending") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      const auto before = virtual_loop.loop.counters().iterations;
      for (int i = 0; i < 10; ++i) {
        const Mutex::Guard guard = co_await mutex.lock();
        CHECK(mutex.locked());
      }
      CHECK_FALSE(mutex.locked());
      CHECK(virtual_loop.loop.counters().iterations == before);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("who comes while the mutex is being handed over does not overtake") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      std::vector<int> log;
      Mutex::Guard guard = co_await mutex.lock();
      const Future<> first = siding::create_task(locks_once(mutex, log, 1));
      co_await turns(1);

      guard.release();
      CHECK(mutex.locked());  // it is the first one's already
      CHECK_FALSE(mutex.try_lock());
      guard = co_await mutex.lock();

      CHECK(log == std::vector{1});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("try_lock gives a guard if the mutex is free, else an empty one") {
    Mutex mutex;

    Mutex::Guard guard = mutex.try_lock();
    CHECK(guard);
    CHECK_FALSE(mutex.try_lock());
    guard.release();

    CHECK_FALSE(guard);
    CHECK(mutex.try_lock());
  }

  // SY-002
  TEST_CASE("releasing what is not held is an error") {
    Mutex mutex;
    Mutex::Guard empty;
    Mutex::Guard released = mutex.try_lock();
    released.release();

    CHECK_THROWS_AS(empty.release(), InvalidStateError);
    CHECK_THROWS_AS(released.release(), InvalidStateError);
    CHECK_FALSE(mutex.locked());
  }

  // SY-002
  TEST_CASE("a guard releases on return, on an exception and on cancellation") {
    VirtualLoop virtual_loop;
    Mutex mutex;
    auto returns = [&]() -> Task<> { const Mutex::Guard guard = co_await mutex.lock(); };
    auto throws = [&]() -> Task<> {
      const Mutex::Guard guard = co_await mutex.lock();
      throw std::runtime_error("failed");
    };
    std::vector<int> log;
    auto body = [&]() -> Task<> {
      co_await returns();
      CHECK_FALSE(mutex.locked());

      CHECK_THROWS_AS(co_await throws(), std::runtime_error);
      CHECK_FALSE(mutex.locked());

      const Future<> task = siding::create_task(locks(mutex, log, 1));
      co_await turns(1);
      CHECK(mutex.locked());
      task.cancel();
      CHECK_THROWS_AS(co_await task, Cancelled);
      CHECK_FALSE(mutex.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a guard that is moved holds the mutex, and an assignment releases what was held") {
    Mutex first;
    Mutex second;
    Mutex::Guard guard = first.try_lock();
    Mutex::Guard moved = std::move(guard);
    CHECK(moved);
    CHECK_FALSE(guard);  // NOLINT(bugprone-use-after-move): that is what is asked

    moved = second.try_lock();

    CHECK_FALSE(first.locked());
    CHECK(second.locked());
    moved.release();
    CHECK_FALSE(second.locked());
  }

  TEST_CASE("a waiter that is cancelled leaves the queue, and the others keep their order") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      std::vector<int> log;
      Mutex::Guard guard = co_await mutex.lock();
      std::vector<Future<>> tasks;
      for (int i = 1; i <= 4; ++i)
        tasks.push_back(siding::create_task(locks_once(mutex, log, i)));
      co_await turns(1);

      tasks[0].cancel();
      tasks[2].cancel();
      CHECK_THROWS_AS(co_await tasks[0], Cancelled);
      CHECK_THROWS_AS(co_await tasks[2], Cancelled);
      guard.release();
      co_await tasks[1];
      co_await tasks[3];

      CHECK(log == std::vector{2, 4});
      CHECK_FALSE(mutex.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("a mutex that was handed to a task which is then cancelled goes to the next") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      std::vector<int> log;
      Mutex::Guard guard = co_await mutex.lock();
      const Future<> first = siding::create_task(locks_once(mutex, log, 1));
      const Future<> second = siding::create_task(locks_once(mutex, log, 2));
      co_await turns(1);

      guard.release();  // the first has it, and has not resumed
      first.cancel();
      CHECK_THROWS_AS(co_await first, Cancelled);
      co_await second;

      CHECK(log == std::vector{2});
      CHECK_FALSE(mutex.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("a mutex that was handed to the last who waits, and who is cancelled, is free") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      std::vector<int> log;
      Mutex::Guard guard = co_await mutex.lock();
      const Future<> only = siding::create_task(locks_once(mutex, log, 1));
      co_await turns(1);

      guard.release();
      only.cancel();
      CHECK_FALSE(mutex.locked());
      CHECK_THROWS_AS(co_await only, Cancelled);

      CHECK(log.empty());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a task with a cancellation pending does not wait for the mutex") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      const Mutex::Guard guard = co_await mutex.lock();
      const Future<> task = siding::create_task([&]() -> Task<> {
        siding::current_task().cancel();
        const Mutex::Guard never = co_await mutex.lock();
      });
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("wait_for limits the wait, and passes the guard on") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      Mutex::Guard guard = co_await siding::wait_for(mutex.lock(), 1s);
      CHECK(guard);

      CHECK_THROWS_AS(static_cast<void>(co_await siding::wait_for(mutex.lock(), 1s)),
                      siding::TimeoutError);
      CHECK(virtual_loop.elapsed() == 1s);
      guard.release();

      CHECK_FALSE(mutex.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a mutex that is handed over in the iteration in which the limit passes stays free") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Mutex mutex;
      Mutex::Guard guard = co_await mutex.lock();
      const Future<> task = siding::create_task([&]() -> Task<> {
        CHECK_THROWS_AS(static_cast<void>(co_await siding::wait_for(mutex.lock(), 1s)),
                        siding::TimeoutError);
      });
      co_await turns(1);

      virtual_loop.clock.advance(1s);  // the limit is due in the next iteration
      guard.release();
      co_await task;

      CHECK_FALSE(mutex.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }
}

}  // namespace
}  // namespace siding_test::mutex_test
