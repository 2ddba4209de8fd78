// SPDX-License-Identifier: MIT
#include <siding/condition.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::condition_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Condition;
using siding::Future;
using siding::InvalidStateError;
using siding::Mutex;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

Task<> waits(Condition& condition, std::vector<int>& log, int name) {
  const Mutex::Guard guard = co_await condition.lock();
  co_await condition.wait();
  CHECK(condition.locked());
  log.push_back(name);
}

std::vector<Future<>> three(Condition& condition, std::vector<int>& log) {
  std::vector<Future<>> tasks;
  for (int i = 1; i <= 3; ++i)
    tasks.push_back(siding::create_task(waits(condition, log, i)));
  return tasks;
}

TEST_SUITE("Condition") {
  // SY-004
  TEST_CASE("wait releases the mutex and has it on return; notify wakes in order") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      std::vector<int> log;
      const auto tasks = three(condition, log);
      co_await turns(2);
      CHECK_FALSE(condition.locked());

      Mutex::Guard guard = co_await condition.lock();
      condition.notify();
      co_await turns(2);
      CHECK(log.empty());  // the mutex is held here
      guard.release();
      co_await turns(2);
      CHECK(log == std::vector{1});

      guard = co_await condition.lock();
      condition.notify(2);
      guard.release();
      co_await turns(3);
      CHECK(log == std::vector{1, 2, 3});
      CHECK_FALSE(condition.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("notify_all wakes all, and a notification without anybody waiting is not kept") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      std::vector<int> log;
      Mutex::Guard guard = co_await condition.lock();
      condition.notify_all();
      guard.release();
      const auto tasks = three(condition, log);
      co_await turns(3);
      CHECK(log.empty());

      guard = co_await condition.lock();
      condition.notify_all();
      guard.release();
      co_await turns(4);

      CHECK(log == std::vector{1, 2, 3});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-005
  TEST_CASE("wait and notify of a task that has not locked the mutex are errors") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      const auto all_refused = [&]() -> Task<> {
        CHECK_THROWS_AS(co_await condition.wait(), InvalidStateError);
        CHECK_THROWS_AS(co_await condition.wait([] { return true; }), InvalidStateError);
        CHECK_THROWS_AS(condition.notify(), InvalidStateError);
        CHECK_THROWS_AS(condition.notify_all(), InvalidStateError);
      };
      co_await all_refused();
      CHECK_FALSE(condition.locked());

      Mutex::Guard guard = co_await condition.lock();
      const Future<> other = siding::create_task(all_refused);  // locked, but not by that task
      co_await other;
      CHECK(condition.locked());
      guard.release();
      co_await all_refused();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-006
  TEST_CASE("a wait with a predicate tests it on each notification") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      int n = 0;
      int tests = 0;
      const Future<> task = siding::create_task([&]() -> Task<> {
        const Mutex::Guard guard = co_await condition.lock();
        co_await condition.wait([&] {
          ++tests;
          return n >= 3;
        });
        CHECK(condition.locked());
      });
      co_await turns(1);

      for (int i = 1; i <= 3; ++i) {
        CHECK_FALSE(task.done());
        Mutex::Guard guard = co_await condition.lock();
        n = i;
        condition.notify_all();
        guard.release();
        co_await turns(1);
      }

      CHECK(task.done());
      CHECK(tests == 4);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-006
  TEST_CASE("a wait with a predicate that holds does not suspend") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      const Mutex::Guard guard = co_await condition.lock();
      const auto before = virtual_loop.loop.counters().iterations;
      co_await condition.wait([] { return true; });
      CHECK(virtual_loop.loop.counters().iterations == before);
      CHECK(condition.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("what the predicate throws is thrown with the mutex held") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      const Mutex::Guard guard = co_await condition.lock();
      auto fails = []() -> bool { throw std::runtime_error("cannot say"); };
      CHECK_THROWS_AS(co_await condition.wait(fails), std::runtime_error);
      CHECK(condition.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a wait that is cancelled takes the mutex again before it throws") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      bool held = false;
      const Future<> task = siding::create_task([&]() -> Task<> {
        const Mutex::Guard guard = co_await condition.lock();
        try {
          co_await condition.wait();
        } catch (const Cancelled&) {
          condition.notify();  // which only the holder may
          held = true;
          throw;
        }
      });
      co_await turns(1);
      Mutex::Guard guard = co_await condition.lock();

      task.cancel();
      co_await turns(2);
      CHECK_FALSE(task.done());  // waits for the mutex
      task.cancel();             // and does so however often it is asked
      co_await turns(2);
      CHECK_FALSE(task.done());
      guard.release();
      CHECK_THROWS_AS(co_await task, Cancelled);

      CHECK(held);
      CHECK_FALSE(condition.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("the notification of a task that is cancelled before it resumes goes to the next") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      std::vector<int> log;
      const auto tasks = three(condition, log);
      co_await turns(2);

      Mutex::Guard guard = co_await condition.lock();
      condition.notify();
      SUBCASE("while it waits for the mutex") {
        tasks[0].cancel();
        guard.release();
      }
      SUBCASE("when it was handed the mutex") {
        guard.release();
        tasks[0].cancel();
      }
      CHECK_THROWS_AS(co_await tasks[0], Cancelled);
      co_await tasks[1];
      co_await turns(2);

      CHECK(log == std::vector{2});
      CHECK_FALSE(tasks[2].done());
      tasks[2].cancel();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("wait_for limits the wait, and the mutex is held afterwards") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      Mutex::Guard guard = co_await condition.lock();
      CHECK_THROWS_AS(co_await siding::wait_for(condition.wait(), 1s), siding::TimeoutError);
      CHECK_THROWS_AS(co_await siding::wait_for(condition.wait([] { return false; }), 1s),
                      siding::TimeoutError);
      CHECK(virtual_loop.elapsed() == 2s);
      CHECK(condition.locked());
      condition.notify();
      guard.release();
      CHECK_FALSE(condition.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a guard cannot be released by others while its task waits") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Condition condition;
      Mutex::Guard theirs;
      const Future<> task = siding::create_task([&]() -> Task<> {
        theirs = co_await condition.lock();
        co_await condition.wait();
      });
      co_await turns(1);

      Mutex::Guard ours = co_await condition.lock();
      CHECK_THROWS_AS(theirs.release(), InvalidStateError);
      CHECK(condition.locked());
      condition.notify();
      co_await turns(1);
      CHECK_FALSE(task.done());
      ours.release();
      co_await task;
      theirs.release();
      CHECK_FALSE(condition.locked());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("destroying it ends the waits and empties their guards") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Condition> condition(std::in_place);
      std::vector<int> log;
      const auto tasks = three(*condition, log);
      co_await turns(2);
      Mutex::Guard guard = co_await condition->lock();
      condition->notify();  // the first waits for the mutex, the others for a notification

      condition.reset();

      CHECK_FALSE(guard);
      for (const Future<>& task : tasks)
        CHECK_THROWS_AS(co_await task, InvalidStateError);
      CHECK(log.empty());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-012
  TEST_CASE("it may be made before any loop runs, and refuses to serve two loops") {
    static Condition condition;
    VirtualLoop one;
    VirtualLoop two;
    std::vector<int> log;
    auto wait_and_notify = [&]() -> Task<> {
      const auto tasks = three(condition, log);
      co_await turns(2);
      Mutex::Guard guard = co_await condition.lock();
      condition.notify_all();
      guard.release();
      co_await tasks[2];
    };

    one.loop.run_until_complete(wait_and_notify);

    CHECK(log == std::vector{1, 2, 3});
    auto wait_elsewhere = [&]() -> Task<> {
      const Mutex::Guard guard = co_await condition.lock();
      CHECK_THROWS_AS(co_await condition.wait(), InvalidStateError);
    };
    two.loop.run_until_complete(wait_elsewhere);
    CHECK_FALSE(condition.locked());
  }

  TEST_CASE("a loop may be closed while tasks wait for it in every way") {
    const auto condition = std::make_unique<Condition>();
    std::vector<int> log;
    {
      VirtualLoop virtual_loop;
      Mutex::Guard guard;
      auto body = [&]() -> Task<> {
        three(*condition, log);
        co_await turns(2);
        guard = co_await condition->lock();
        condition->notify(2);
      };
      virtual_loop.loop.run_until_complete(body);
      guard.release();  // the first is handed the mutex, and never resumes
      CHECK(condition->locked());
    }
    CHECK(log.empty());
    CHECK_FALSE(condition->locked());
  }
}

}  // namespace
}  // namespace siding_test::condition_test
