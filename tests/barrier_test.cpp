// SPDX-License-Identifier: MIT
#include <siding/barrier.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::barrier_test {
namespace {

using namespace std::chrono_literals;
using siding::Barrier;
using siding::BrokenBarrier;
using siding::Cancelled;
using siding::Future;
using siding::InvalidStateError;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

using Places = std::vector<std::size_t>;

Task<> arrives(Barrier& barrier, Places& places) {
  const std::size_t place = co_await barrier.wait();
  places.push_back(place);
}

std::vector<Future<>> arrivals(int count, Barrier& barrier, Places& places) {
  std::vector<Future<>> tasks;
  for (int i = 0; i < count; ++i)
    tasks.push_back(siding::create_task(arrives(barrier, places)));
  return tasks;
}

TEST_SUITE("Barrier") {
  // SY-009
  TEST_CASE("the last arrival releases all, each with its number, round after round") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(3);
      for (int round = 0; round < 2; ++round) {
        Places places;
        const auto two = arrivals(2, barrier, places);
        co_await turns(3);
        CHECK(places.empty());
        CHECK(barrier.waiting() == 2);

        const std::size_t last = co_await barrier.wait();
        CHECK(last == 2);
        co_await turns(1);
        CHECK(places == Places{0, 1});
        CHECK(barrier.waiting() == 0);
      }
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-009
  TEST_CASE("it needs one party at least") {
    CHECK_THROWS_AS(Barrier(0), std::invalid_argument);
    CHECK_THROWS_AS(Barrier(static_cast<std::size_t>(-1)), std::invalid_argument);
    CHECK(Barrier(1).parties() == 1);
  }

  TEST_CASE("a barrier of one does not suspend") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(1);
      const auto before = virtual_loop.loop.counters().iterations;
      const std::size_t place = co_await barrier.wait();
      CHECK(place == 0);
      CHECK(virtual_loop.loop.counters().iterations == before);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-010
  TEST_CASE("reset throws the waiters out and begins anew; abort lasts until a reset") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(3);
      Places places;
      const auto thrown_out = arrivals(2, barrier, places);
      co_await turns(1);
      barrier.reset();
      for (const Future<>& task : thrown_out)
        CHECK_THROWS_AS(co_await task, BrokenBarrier);
      CHECK_FALSE(barrier.broken());

      const auto pass = arrivals(3, barrier, places);
      for (const Future<>& task : pass)
        co_await task;
      CHECK(places.size() == 3);

      const auto aborted = arrivals(2, barrier, places);
      co_await turns(1);
      barrier.abort();
      CHECK(barrier.broken());
      for (const Future<>& task : aborted)
        CHECK_THROWS_AS(co_await task, BrokenBarrier);
      CHECK_THROWS_AS(co_await barrier.wait(), BrokenBarrier);
      CHECK_THROWS_AS(co_await barrier.wait(), BrokenBarrier);

      barrier.reset();
      places.clear();
      const auto again = arrivals(3, barrier, places);
      for (const Future<>& task : again)
        co_await task;
      CHECK(places == Places{2, 0, 1});  // the last one did not wait
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("who was released passes, although the barrier is reset or aborted right after") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(3);
      Places places;
      const auto two = arrivals(2, barrier, places);
      co_await turns(1);

      co_await barrier.wait();
      barrier.abort();
      for (const Future<>& task : two)
        co_await task;

      CHECK(places == Places{0, 1});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-011
  TEST_CASE("a waiter that is cancelled does not count, and the numbers have no gap") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(3);
      Places places;
      const auto first = arrivals(2, barrier, places);
      co_await turns(1);

      first[0].cancel();
      CHECK_THROWS_AS(co_await first[0], Cancelled);
      CHECK(barrier.waiting() == 1);
      const auto then = arrivals(2, barrier, places);
      co_await first[1];
      co_await then[0];
      co_await then[1];

      CHECK(places == Places{2, 0, 1});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a task that is cancelled when all have arrived passes, and throws at its next await") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(2);
      bool passed = false;
      const Future<> task = siding::create_task([&]() -> Task<> {
        co_await barrier.wait();
        passed = true;
        co_await siding::yield();
      });
      co_await turns(1);

      co_await barrier.wait();
      task.cancel();
      CHECK_THROWS_AS(co_await task, Cancelled);

      CHECK(passed);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("wait_for limits the wait, and the place is free again") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(2);
      CHECK_THROWS_AS(co_await siding::wait_for(barrier.wait(), 1s), siding::TimeoutError);
      CHECK(virtual_loop.elapsed() == 1s);
      CHECK(barrier.waiting() == 0);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-012
  TEST_CASE("it may be made before any loop runs, and refuses to serve two loops") {
    static Barrier barrier(2);
    VirtualLoop one;
    VirtualLoop two;
    Places places;
    auto meet = [&]() -> Task<> {
      const auto tasks = arrivals(2, barrier, places);
      co_await tasks[0];
    };

    one.loop.run_until_complete(meet);

    CHECK(places == Places{1, 0});
    auto wait_elsewhere = [&]() -> Task<> {
      CHECK_THROWS_AS(co_await barrier.wait(), InvalidStateError);
    };
    two.loop.run_until_complete(wait_elsewhere);
  }

  TEST_CASE("aborting it on another thread while tasks wait is an error") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Barrier barrier(2);
      Places places;
      const auto tasks = arrivals(1, barrier, places);
      co_await turns(1);

      std::thread([&] {
        CHECK_THROWS_AS(barrier.abort(), std::logic_error);
        CHECK_THROWS_AS(barrier.reset(), std::logic_error);
      }).join();

      CHECK(barrier.waiting() == 1);
      CHECK_FALSE(barrier.broken());
      tasks[0].cancel();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("destroying it ends the waits, and not those of who was released") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Barrier> barrier(std::in_place, 2);
      Places places;
      const auto released = arrivals(1, *barrier, places);
      co_await turns(1);
      co_await barrier->wait();
      co_await turns(1);
      const auto waiting = arrivals(1, *barrier, places);
      co_await turns(1);

      barrier.reset();

      co_await released[0];
      CHECK_THROWS_AS(co_await waiting[0], InvalidStateError);
    };

    virtual_loop.loop.run_until_complete(body);
  }
}

}  // namespace
}  // namespace siding_test::barrier_test
