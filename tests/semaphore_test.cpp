// SPDX-License-Identifier: MIT
#include <siding/semaphore.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::semaphore_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Future;
using siding::InvalidStateError;
using siding::Semaphore;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

// Takes a permit that nobody gives back.
Task<> takes(Semaphore& semaphore, std::vector<int>& log, int name) {
  Semaphore::Permit permit = co_await semaphore.acquire();
  permit.detach();
  log.push_back(name);
}

std::vector<Future<>> three(Semaphore& semaphore, std::vector<int>& log) {
  std::vector<Future<>> tasks;
  for (int i = 1; i <= 3; ++i)
    tasks.push_back(siding::create_task(takes(semaphore, log, i)));
  return tasks;
}

TEST_SUITE("Semaphore") {
  // SY-007
  TEST_CASE("it serves in order, without overtaking") {
    VirtualLoop virtual_loop;
    Semaphore semaphore(1);
    std::string order;
    auto works = [&](char name) -> Task<> {
      for (int i = 0; i < 2; ++i) {
        const Semaphore::Permit permit = co_await semaphore.acquire();
        order += name;
      }
    };
    auto body = [&]() -> Task<> {
      Semaphore::Permit permit = co_await semaphore.acquire();
      std::vector<Future<>> tasks;
      for (const char name : {'a', 'b', 'c'})
        tasks.push_back(siding::create_task(works(name)));
      co_await turns(1);
      CHECK(semaphore.waiting() == 3);
      permit.release();
      for (const Future<>& task : tasks)
        co_await task;
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(order == "abcabc");
    CHECK(semaphore.value() == 1);
  }

  // SY-007
  TEST_CASE("it counts, and refuses a negative start") {
    CHECK_THROWS_AS(Semaphore(-1), std::invalid_argument);
    CHECK_THROWS_AS(Semaphore(3, 2), std::invalid_argument);
    Semaphore semaphore(2);

    Semaphore::Permit first = semaphore.try_acquire();
    Semaphore::Permit second = semaphore.try_acquire();

    CHECK(semaphore.value() == 0);
    CHECK_FALSE(semaphore.try_acquire());
    first.release();
    CHECK(semaphore.value() == 1);
    CHECK_THROWS_AS(first.release(), InvalidStateError);
    second = semaphore.try_acquire();  // the new one is taken first, then the old one goes back
    CHECK(semaphore.value() == 1);
    semaphore.release();
    CHECK(semaphore.value() == 2);
    CHECK_FALSE(semaphore.bound().has_value());
  }

  // SY-008
  TEST_CASE("with a bound, releasing too often is an error") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(2, 2);
      CHECK_THROWS_AS(semaphore.release(), InvalidStateError);
      CHECK(semaphore.value() == 2);

      const Semaphore::Permit first = co_await semaphore.acquire();
      const Semaphore::Permit second = co_await semaphore.acquire();
      CHECK_THROWS_AS(static_cast<void>(co_await siding::wait_for(semaphore.acquire(), 1s)),
                      siding::TimeoutError);
      CHECK(semaphore.value() == 0);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("permits that cannot be counted any more are refused") {
    siding::Semaphore semaphore(std::numeric_limits<std::ptrdiff_t>::max());

    CHECK_THROWS_AS(semaphore.release(), siding::InvalidStateError);
    CHECK(semaphore.value() == std::numeric_limits<std::ptrdiff_t>::max());
  }

  TEST_CASE("a free permit is taken without suspending") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(1);
      const auto before = virtual_loop.loop.counters().iterations;
      for (int i = 0; i < 10; ++i) {
        const Semaphore::Permit permit = co_await semaphore.acquire();
        CHECK(semaphore.value() == 0);
      }
      CHECK(virtual_loop.loop.counters().iterations == before);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a detached permit is given back by release, also to those who wait") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(0);
      std::vector<int> log;
      const auto tasks = three(semaphore, log);
      co_await turns(1);

      semaphore.release();
      CHECK(semaphore.value() == 0);  // it is the first one's already
      CHECK_FALSE(semaphore.try_acquire());
      semaphore.release();
      co_await turns(1);
      CHECK(log == std::vector{1, 2});
      semaphore.release();
      co_await tasks[2];
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a permit is given back on every exit") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(1);
      auto throws = [&]() -> Task<> {
        const Semaphore::Permit permit = co_await semaphore.acquire();
        throw std::runtime_error("failed");
      };
      auto sleeps = [&]() -> Task<> {
        const Semaphore::Permit permit = co_await semaphore.acquire();
        co_await siding::sleep(1h);
      };
      CHECK_THROWS_AS(co_await throws(), std::runtime_error);
      CHECK(semaphore.value() == 1);
      CHECK_THROWS_AS(co_await siding::wait_for(sleeps(), 1s), siding::TimeoutError);
      CHECK(semaphore.value() == 1);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("a permit handed to a task which is then cancelled goes to the next, or back") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(0);
      std::vector<int> log;
      const auto tasks = three(semaphore, log);
      co_await turns(1);

      tasks[1].cancel();  // waits still
      semaphore.release();
      tasks[0].cancel();  // has been handed it
      CHECK_THROWS_AS(co_await tasks[0], Cancelled);
      CHECK_THROWS_AS(co_await tasks[1], Cancelled);
      co_await tasks[2];
      CHECK(log == std::vector{3});

      const Future<> last = siding::create_task(takes(semaphore, log, 4));
      co_await turns(1);
      semaphore.release();
      last.cancel();
      CHECK(semaphore.value() == 1);
      CHECK_THROWS_AS(co_await last, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-013
  TEST_CASE("as a limiter it tells total, free and waiting, and the total can be raised") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore limiter(1, 1);
      std::vector<int> log;
      const Semaphore::Permit permit = co_await limiter.acquire();
      const auto tasks = three(limiter, log);
      co_await turns(1);
      CHECK(limiter.bound() == 1);
      CHECK(limiter.value() == 0);
      CHECK(limiter.waiting() == 3);

      limiter.set_bound(3);
      co_await turns(1);

      CHECK(log == std::vector{1, 2});
      CHECK(limiter.bound() == 3);
      CHECK(limiter.waiting() == 1);
      tasks[2].cancel();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a bound that is lowered takes effect as permits come back") {
    Semaphore limiter(3, 3);
    Semaphore::Permit first = limiter.try_acquire();
    Semaphore::Permit second = limiter.try_acquire();

    limiter.set_bound(1);
    CHECK(limiter.value() == -1);
    first.release();
    CHECK_FALSE(limiter.try_acquire());
    second.release();

    CHECK(limiter.value() == 1);
    CHECK_THROWS_AS(limiter.release(), InvalidStateError);
    CHECK_THROWS_AS(limiter.set_bound(-1), std::invalid_argument);
    Semaphore unbound(1);
    CHECK_THROWS_AS(unbound.set_bound(1), InvalidStateError);
  }

  // SY-012
  TEST_CASE("it may be made before any loop runs, and refuses to serve two loops") {
    static Semaphore semaphore(0);
    VirtualLoop one;
    VirtualLoop two;
    std::vector<int> log;
    auto wait_and_release = [&]() -> Task<> {
      const auto tasks = three(semaphore, log);
      co_await turns(1);
      for (int i = 0; i < 3; ++i)
        semaphore.release();
      co_await tasks[2];
    };

    one.loop.run_until_complete(wait_and_release);

    CHECK(log == std::vector{1, 2, 3});
    auto wait_elsewhere = [&]() -> Task<> {
      CHECK_THROWS_AS(static_cast<void>(co_await semaphore.acquire()), InvalidStateError);
    };
    two.loop.run_until_complete(wait_elsewhere);
  }

  TEST_CASE("releasing it on another thread while tasks wait is an error") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(1);
      std::vector<int> log;
      Semaphore::Permit permit = co_await semaphore.acquire();
      const auto tasks = three(semaphore, log);
      co_await turns(1);

      std::thread([&] {
        CHECK_THROWS_AS(semaphore.release(), std::logic_error);
        CHECK_THROWS_AS(permit.release(), std::logic_error);
      }).join();

      CHECK(permit);
      CHECK(semaphore.value() == 0);
      for (const Future<>& task : tasks)
        task.cancel();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("destroying it ends the waits, also of who was handed a permit") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Semaphore> semaphore(std::in_place, 0);
      std::vector<int> log;
      const auto tasks = three(*semaphore, log);
      co_await turns(1);

      semaphore->release();
      semaphore.reset();

      for (const Future<>& task : tasks)
        CHECK_THROWS_AS(co_await task, InvalidStateError);
      CHECK(log.empty());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a loop may be closed while tasks wait and were handed permits") {
    Semaphore semaphore(0);
    std::vector<int> log;
    {
      VirtualLoop virtual_loop;
      auto body = [&]() -> Task<> {
        three(semaphore, log);
        co_await turns(1);
      };
      virtual_loop.loop.run_until_complete(body);
      semaphore.release();
    }
    CHECK(log.empty());
    CHECK(semaphore.value() == 1);
  }
}

}  // namespace
}  // namespace siding_test::semaphore_test
