// SPDX-License-Identifier: MIT
// Requests of cancellation: how they are counted, when they wait, and what wins over them.
#include <siding/cancellation.hpp>

#include <siding/create_task.hpp>
#include <siding/event_loop.hpp>
#include <siding/promise.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/counted.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::cancellation_requests_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Future;
using siding::Promise;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::VirtualLoop;

Task<> sleeps(siding::Limit length) { co_await siding::sleep(length); }

TEST_SUITE("Cancellation requests") {
  // TC-006
  TEST_CASE("clean-up may await after the cancellation was caught, and rethrow it") {
    VirtualLoop virtual_loop;
    auto tidies_up = []() -> Task<> {
      std::exception_ptr cancelled;
      try {
        co_await siding::sleep(10s);
      } catch (const Cancelled&) {
        cancelled = std::current_exception();
      }
      co_await siding::sleep(10ms);
      std::rethrow_exception(cancelled);
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(tidies_up);
      co_await siding::yield();
      task.cancel();
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(virtual_loop.elapsed() == 10ms);
  }

  // TC-007
  TEST_CASE("requests are counted, and can be taken back") {
    VirtualLoop virtual_loop;
    auto body = []() -> Task<> {
      const Future<> task = siding::create_task(sleeps(1h));
      co_await siding::yield();
      CHECK(task.cancelling() == 0);
      CHECK(task.uncancel() == 0);

      task.cancel();
      task.cancel();

      CHECK(task.cancelling() == 2);
      CHECK(task.uncancel() == 1);
      CHECK(task.cancelling() == 1);
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-007
  TEST_CASE("a task that catches its cancellation and takes it back goes on normally") {
    VirtualLoop virtual_loop;
    auto goes_on = []() -> Task<int> {
      bool cancelled = false;
      try {
        co_await siding::sleep(10s);
      } catch (const Cancelled&) {
        cancelled = true;
      }
      CHECK(cancelled);
      CHECK(siding::current_task().uncancel() == 0);
      co_await siding::sleep(5s);
      co_return 7;
    };
    auto body = [&]() -> Task<> {
      const Future<int> task = siding::create_task(goes_on);
      co_await siding::yield();
      task.cancel();
      const int value = co_await task;
      CHECK(value == 7);
      CHECK(task.cancelling() == 0);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(virtual_loop.elapsed() == 5s);
  }

  TEST_CASE("a request that is taken back before it was thrown is forgotten") {
    VirtualLoop virtual_loop;
    auto changes_its_mind = []() -> Task<int> {
      const siding::AnyFuture self = siding::current_task();
      self.cancel();
      CHECK(self.uncancel() == 0);
      co_await siding::sleep(1s);
      co_return 3;
    };

    CHECK(virtual_loop.loop.run_until_complete(changes_its_mind) == 3);
  }

  TEST_CASE("requests that come before the task has its turn are thrown as one") {
    VirtualLoop virtual_loop;
    int caught = 0;
    auto catches = [&]() -> Task<> {
      for (int round = 0; round < 2; ++round) {
        try {
          co_await siding::sleep(1s);
        } catch (const Cancelled& cancelled) {
          ++caught;
          CHECK(cancelled.reason() == "second");
        }
      }
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(catches);
      co_await siding::yield();
      CHECK(task.cancel({.reason = "first"}));
      CHECK(task.cancel({.reason = "second"}));
      co_await task;
      CHECK(task.cancelling() == 2);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(caught == 1);
  }

  // TC-008
  TEST_CASE("a second cancel during clean-up interrupts the clean-up") {
    VirtualLoop virtual_loop;
    bool cleaned_up = false;
    auto tidies_up = [&]() -> Task<> {
      try {
        co_await siding::sleep(1h);
      } catch (const Cancelled&) {
      }
      co_await siding::sleep(10s);
      cleaned_up = true;
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(tidies_up);
      co_await siding::yield();
      CHECK(task.cancel({.reason = "first"}));
      co_await siding::sleep(1s);
      REQUIRE_FALSE(task.done());

      CHECK(task.cancel({.reason = "second"}));
      std::string reason;
      try {
        co_await task;
      } catch (const Cancelled& cancelled) {
        reason = cancelled.reason();
      }
      CHECK(reason == "second");
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(cleaned_up);
    CHECK(virtual_loop.elapsed() == 1s);
  }

  TEST_CASE("a second cancel counts also when it comes before the clean-up has begun to wait") {
    VirtualLoop virtual_loop;
    bool cleaned_up = false;
    auto tidies_up = [&]() -> Task<> {
      try {
        co_await siding::sleep(1h);
      } catch (const Cancelled&) {
        siding::current_task().cancel();
      }
      co_await siding::sleep(10s);
      cleaned_up = true;
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(tidies_up);
      co_await siding::yield();
      task.cancel();
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(cleaned_up);
    CHECK(virtual_loop.elapsed() == 0s);
  }

  // TC-013
  TEST_CASE("a value that came before the cancel is delivered; the next await is cancelled") {
    VirtualLoop virtual_loop;
    Counts counts;
    int delivered = 0;
    bool cancelled_later = false;
    auto takes = [&](Future<Counted> future) -> Task<> {
      const Counted value = co_await std::move(future);
      delivered = value.value();
      try {
        co_await siding::sleep(1h);
      } catch (const Cancelled&) {
        cancelled_later = true;
        throw;
      }
    };
    auto body = [&]() -> Task<> {
      Promise<Counted> promise;
      const Future<> task = siding::create_task(takes(promise.future()));
      co_await siding::yield();

      promise.set_value(counts, 5);
      CHECK(task.cancel());
      CHECK(task.cancelling() == 1);
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(delivered == 5);
    CHECK(cancelled_later);
    CHECK(counts.alive() == 0);
    CHECK(virtual_loop.elapsed() == 0s);
  }

  // TC-013
  TEST_CASE("an error that came before the cancel is thrown; a task that ends by it has failed") {
    VirtualLoop virtual_loop;
    auto body = []() -> Task<> {
      Promise<int> promise;
      auto waits = [](Future<int> future) -> Task<> { co_await future; };
      const Future<> task = siding::create_task(waits(promise.future()));
      co_await siding::yield();

      promise.set_exception(std::make_exception_ptr(std::domain_error("eggs")));
      CHECK(task.cancel());
      CHECK_THROWS_WITH_AS(co_await task, "eggs", std::domain_error);
      CHECK_FALSE(task.cancelled());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("a value that another thread gave before the cancel is delivered") {
    VirtualLoop virtual_loop;
    int delivered = 0;
    auto takes = [&](Future<int> future) -> Task<> {
      delivered = co_await std::move(future);
      co_await siding::sleep(1h);
    };
    auto body = [&]() -> Task<> {
      Promise<int> promise;
      const Future<> task = siding::create_task(takes(promise.future()));
      co_await siding::yield();

      std::thread([&] { promise.set_value(6); }).join();
      CHECK(task.cancel());
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(delivered == 6);
  }

  // TC-013
  TEST_CASE("a sleep that was over before the cancel ends normally; the next await is cancelled") {
    VirtualLoop virtual_loop;
    bool woke = false;
    auto dozes = [&]() -> Task<> {
      co_await siding::sleep(1s);
      woke = true;
      co_await siding::sleep(1h);
    };
    auto body = [&]() -> Task<> {
      Future<> task;
      auto cancels = [&]() -> Task<> {
        co_await siding::sleep(1s);
        CHECK_FALSE(woke);  // its timer has fired as well: it has its turn after us
        CHECK(task.cancel());
      };
      const Future<> canceller = siding::create_task(cancels);
      task = siding::create_task(dozes);
      CHECK_THROWS_AS(co_await task, Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(woke);
    CHECK(virtual_loop.elapsed() == 1s);
  }

  TEST_CASE("a future that has begun and cannot be cancelled goes on; only the wait ends") {
    VirtualLoop virtual_loop;
    Promise<int> promise;
    auto waits = [](Future<int> future) -> Task<> { co_await future; };
    auto body = [&]() -> Task<> {
      REQUIRE(promise.start());
      const Future<> task = siding::create_task(waits(promise.future()));
      co_await siding::yield();

      CHECK(task.cancel());
      CHECK_THROWS_AS(co_await task, Cancelled);
      CHECK_FALSE(promise.future().done());
    };

    virtual_loop.loop.run_until_complete(body);

    promise.set_value(1);
    CHECK(promise.future().result() == 1);
  }

  TEST_CASE("a future that several tasks await is cancelled for all of them") {
    VirtualLoop virtual_loop;
    Promise<int> promise;
    auto waits = [](Future<int> future) -> Task<> { co_await future; };
    auto body = [&]() -> Task<> {
      const Future<> first = siding::create_task(waits(promise.future()));
      const Future<> second = siding::create_task(waits(promise.future()));
      co_await siding::yield();

      first.cancel();
      CHECK_THROWS_AS(co_await first, Cancelled);
      CHECK_THROWS_AS(co_await second, Cancelled);
      CHECK(second.cancelled());
      CHECK(second.cancelling() == 0);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("awaiting what is done already is no cancellation point") {
    VirtualLoop virtual_loop;
    Promise<int> promise;
    promise.set_value(2);
    int read = 0;
    bool went_on = false;
    auto body = [&]() -> Task<> {
      siding::current_task().cancel();
      read = co_await promise.future();
      co_await siding::yield();
      went_on = true;
    };

    CHECK_THROWS_AS(virtual_loop.loop.run_until_complete(body), Cancelled);

    CHECK(read == 2);
    CHECK_FALSE(went_on);
  }

  // TC-009
  TEST_CASE("cancelling a finished task is false, and its outcome stays") {
    VirtualLoop virtual_loop;
    auto body = []() -> Task<> {
      const Future<int> five = siding::create_task([]() -> Task<int> { co_return 5; });
      const Future<int> failed = siding::create_task([]() -> Task<int> {
        throw std::domain_error("eggs");
        co_return 0;
      });
      co_await siding::sleep(1s);

      CHECK_FALSE(five.cancel());
      CHECK_FALSE(failed.cancel());
      CHECK(five.result() == 5);
      CHECK_THROWS_WITH_AS(failed.result(), "eggs", std::domain_error);
      CHECK_FALSE(failed.cancelled());
    };

    virtual_loop.loop.run_until_complete(body);
  }
}

}  // namespace
}  // namespace siding_test::cancellation_requests_test
