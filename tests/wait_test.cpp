// SPDX-License-Identifier: MIT
#include <siding/wait.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/gate.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::wait_test {
namespace {

using namespace std::chrono_literals;
using siding::AnyFuture;
using siding::create_task;
using siding::Future;
using siding::Promise;
using siding::ReturnWhen;
using siding::Task;
using siding::wait;
using siding_test::Gate;
using siding_test::turns;
using siding_test::VirtualLoop;

using Futures = std::vector<Future<int>>;

Task<int> gives_after(siding::Limit length, int value) {
  co_await siding::sleep(length);
  co_return value;
}
Task<int> throws_after(siding::Limit length) {
  co_await siding::sleep(length);
  throw std::out_of_range("far");
}

}  // namespace

TEST_SUITE("wait") {
  // WT-008
  TEST_CASE("gives what is done and what is pending, and rethrows nothing") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> value = create_task(gives_after(20ms, 1));
      const Future<int> failure = create_task(throws_after(10ms));

      const Futures both{value, failure};
      const auto outcome = co_await wait(both);

      CHECK(virtual_loop.elapsed() == 20ms);
      CHECK(outcome.done == Futures{value, failure});
      CHECK(outcome.pending.empty());
      CHECK(outcome.done[0].result() == 1);
      CHECK_THROWS_AS(outcome.done[1].result(), std::out_of_range);
    });
  }

  // WT-008
  TEST_CASE("keeps the order given, whatever the order of completion") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Futures futures;
      for (const auto length : {30ms, 10ms, 60ms, 20ms, 50ms}) {
        futures.push_back(create_task(gives_after(length, 0)));
      }
      const auto outcome = co_await wait(futures, {.timeout = 40ms});
      CHECK(outcome.done == Futures{futures[0], futures[1], futures[3]});
      CHECK(outcome.pending == Futures{futures[2], futures[4]});
    });
  }

  // WT-009
  TEST_CASE("returns at the first that completes, or at the first that fails") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> a = create_task(gives_after(10ms, 1));
      const Future<int> b = create_task(throws_after(30ms));
      const Future<int> c = create_task(gives_after(10s, 3));
      const Futures all{a, b, c};

      auto outcome = co_await wait(all, {.return_when = ReturnWhen::first_completed});
      CHECK(virtual_loop.elapsed() == 10ms);
      CHECK(outcome.done == Futures{a});
      CHECK(outcome.pending == Futures{b, c});

      outcome = co_await wait(all, {.return_when = ReturnWhen::first_exception});
      CHECK(virtual_loop.elapsed() == 30ms);
      CHECK(outcome.done == Futures{a, b});
      CHECK(outcome.pending == Futures{c});

      CHECK_THROWS_AS(b.result(), std::out_of_range);
      CHECK(c.cancelling() == 0);
      const int value = co_await c;
      CHECK(value == 3);
    });
  }

  // WT-010
  TEST_CASE("returns at once for a future that is done, or has failed, already") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> a = create_task(gives_after(10s, 1));
      const Future<int> b = create_task(throws_after(0s));
      co_await turns(2);
      REQUIRE(b.done());

      const Futures both{a, b};
      for (const ReturnWhen when : {ReturnWhen::first_exception, ReturnWhen::first_completed}) {
        const auto outcome = co_await wait(both, {.return_when = when});
        CHECK(virtual_loop.elapsed() == 0s);
        CHECK(outcome.done == Futures{b});
        CHECK(outcome.pending == Futures{a});
      }
      CHECK_THROWS_AS(b.result(), std::out_of_range);
    });
  }

  // WT-009
  TEST_CASE("a future that was cancelled has not failed") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> a = create_task(gives_after(10ms, 1));
      const Future<int> b = create_task(gives_after(1h, 2));
      b.cancel();
      const Futures both{a, b};
      const auto outcome = co_await wait(both, {.return_when = ReturnWhen::first_exception});
      CHECK(virtual_loop.elapsed() == 10ms);
      CHECK(outcome.done.size() == 2);
      CHECK(b.cancelled());
    });
  }

  // WT-011
  TEST_CASE("of nothing is an argument error, at the call") {
    CHECK_THROWS_AS(static_cast<void>(wait(Futures{})), std::invalid_argument);
    CHECK_THROWS_AS(static_cast<void>(wait(std::vector<AnyFuture>{}, {.timeout = 1s})),
                    std::invalid_argument);
  }

  // WT-012
  TEST_CASE("counts a future that is given twice once") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> t = create_task(gives_after(10ms, 1));
      const Future<int> u = create_task(gives_after(20ms, 2));
      const Futures repeated{t, t, u, t};
      const auto outcome = co_await wait(repeated);
      CHECK(outcome.done == Futures{t, u});
      const auto named = co_await wait(t, u, t);
      CHECK(named.done.size() == 2);
    });
  }

  TEST_CASE("a timeout ends it and cancels nothing; one of zero only looks") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> slow = create_task(gives_after(1h, 1));
      auto outcome = co_await wait({.timeout = 5ms}, slow);
      CHECK(virtual_loop.elapsed() == 5ms);
      CHECK(outcome.pending == Futures{slow});
      CHECK(slow.cancelling() == 0);

      for (const auto none : {0ms, -1ms}) {
        outcome = co_await wait({.timeout = none}, slow);
        CHECK(virtual_loop.elapsed() == 5ms);
        CHECK(outcome.pending == Futures{slow});
      }
      CHECK(virtual_loop.loop.counters().timers == 1);  // the sleeper's; the timeouts' are gone
      slow.cancel();
    });
  }

  TEST_CASE("futures of several types give handles that know no type") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> number = create_task(gives_after(10ms, 1));
      const Future<> nothing = create_task(turns(1));
      auto mixed = wait(number, nothing);
      static_assert(std::is_same_v<decltype(mixed)::value_type, siding::WaitResult<AnyFuture>>);
      const auto outcome = co_await mixed;
      CHECK(outcome.done == std::vector<AnyFuture>{number, nothing});

      const auto first =
          co_await wait({.return_when = ReturnWhen::first_completed}, number, nothing);
      CHECK(first.done.size() == 2);
    });
  }

  TEST_CASE("keeps handles of its own: the range it was made from may go") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      auto futures = std::make_unique<Futures>();
      futures->push_back(create_task(gives_after(10ms, 1)));
      auto waiting = wait(*futures);
      futures.reset();
      const auto outcome = co_await waiting;
      CHECK(outcome.done.at(0).result() == 1);
    });
  }

  // seed: blocks
  TEST_CASE("waits for calls that run on threads") {
    Gate gate;
    siding::ThreadPool pool({.max_workers = 3});
    siding::EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      Futures calls;
      for (int i = 0; i < 6; ++i) {
        calls.push_back(siding::run_in_executor(pool, siding_test::pass_with, gate.key(), i));
      }
      gate.wait_for_arrivals(3);
      auto outcome = co_await wait(calls, {.timeout = 0s});
      CHECK(outcome.pending.size() == 6);
      gate.open();
      outcome = co_await wait(calls);
      REQUIRE(outcome.done.size() == 6);
      for (int i = 0; i < 6; ++i)
        CHECK(outcome.done[static_cast<std::size_t>(i)].result() == i);
    });
  }

  TEST_CASE("being cancelled ends the wait at once, and the futures go on") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> inner = create_task(gives_after(10ms, 1));
      const Future<> waiter = create_task([&]() -> Task<> { co_await wait(inner); });
      co_await turns(1);

      waiter.cancel();
      co_await turns(2);

      CHECK(waiter.cancelled());
      CHECK(inner.cancelling() == 0);
      const int value = co_await inner;
      CHECK(value == 1);
    });
  }

  TEST_CASE("many waiters of one future, and a future that ends between two waits") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Promise<int> promise;
      const Future<int> future = promise.future();
      std::vector<Future<>> waiters;
      int woken = 0;
      for (int i = 0; i < 5; ++i) {
        waiters.push_back(create_task([&]() -> Task<> {
          const auto outcome = co_await wait(future);
          woken += outcome.done.at(0).result();
        }));
      }
      co_await turns(1);
      waiters[2].cancel();
      co_await turns(2);
      promise.set_value(1);
      co_await wait(waiters);
      CHECK(woken == 4);
    });
  }

  TEST_CASE("a wait whose loop is closed leaves its futures to whoever completes them") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    {
      siding::EventLoop loop;
      loop.create_task([&]() -> Task<> { co_await wait(future); });
      loop.run_until_complete(turns(2));
    }
    promise.set_value(1);
    CHECK(future.result() == 1);
  }

  TEST_CASE("looks at no value: an error in done that nobody reads is reported") {
    VirtualLoop virtual_loop;
    const siding_test::Reports reports(virtual_loop.loop);
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      co_await wait(create_task(throws_after(1ms)));
      co_await turns(2);
      CHECK(reports.size() == 1);
    });
  }
}

}  // namespace siding_test::wait_test
