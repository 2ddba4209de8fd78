// SPDX-License-Identifier: MIT
// shield, outcome_of, gather_outcomes and with_cleanup.
#include <siding/outcome.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/future.hpp>
#include <siding/promise.hpp>
#include <siding/shield.hpp>
#include <siding/sleep.hpp>
#include <siding/timeout.hpp>
#include <siding/wait.hpp>
#include <siding/with_cleanup.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::outcome_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::Future;
using siding::Limit;
using siding::Outcome;
using siding::Promise;
using siding::sleep;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

Task<int> gives_after(Limit length, int value) {
  co_await sleep(length);
  co_return value;
}
Task<> sets_after(Limit length, bool& flag) {
  co_await sleep(length);
  flag = true;
}
template <class E>
Task<int> throws_after(Limit length, std::string text) {
  co_await sleep(length);
  throw E(text);
}

template <class Body>
void on_a_loop(Body body) {
  VirtualLoop virtual_loop;
  virtual_loop.loop.run_until_complete(body(virtual_loop));
}

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  } catch (const Cancelled& cancelled) {
    return "cancelled: " + cancelled.reason();
  }
}

TEST_SUITE("shield") {
  // WT-021
  TEST_CASE("cancelling the outside leaves the inside running") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      bool flag = false;
      const Future<> outer = create_task([&]() -> Task<> {
        co_await siding::shield(sets_after(10ms, flag));
      });
      co_await turns(2);
      outer.cancel();
      co_await turns(2);
      CHECK(outer.cancelled());
      CHECK(virtual_loop.elapsed() == 0ms);
      CHECK_FALSE(flag);
      co_await sleep(20ms);
      CHECK(flag);
    });
  }

  TEST_CASE("it gives what the inside gives, throws what it throws, and takes futures too") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const int value = co_await siding::shield(gives_after(1ms, 3));
      CHECK(value == 3);
      Promise<std::unique_ptr<int>> promise;
      promise.set_value(std::make_unique<int>(4));
      const std::unique_ptr<int> taken = co_await siding::shield(promise.future());
      CHECK(*taken == 4);
      std::string text;
      try {
        co_await siding::shield(throws_after<std::out_of_range>(1ms, "inside"));
      } catch (const std::out_of_range& error) {
        text = error.what();
      }
      CHECK(text == "inside");
    });
  }

  TEST_CASE("an inside that is cancelled by another cancels the outside") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const Promise<int> promise;
      const Future<int> inside = promise.future();
      const Future<int> outer = create_task(siding::shield(inside));
      co_await turns(2);
      inside.cancel();
      co_await siding::wait(outer);
      CHECK(outer.cancelled());
    });
  }

  TEST_CASE("an inside that fails when nobody looks any more is reported") {
    const siding_test::LogCapture log;
    on_a_loop([](VirtualLoop&) -> Task<> {
      const Future<int> outer =
          create_task(siding::shield(throws_after<std::runtime_error>(10ms, "unseen")));
      co_await turns(2);
      outer.cancel();
      co_await sleep(20ms);
      CHECK(outer.cancelled());
    });
    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find("unseen") != std::string::npos);
  }

  TEST_CASE("a deadline does not reach through it") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      bool flag = false;
      bool late = false;
      try {
        co_await siding::timeout(5ms, [&]() -> Task<> {
          co_await siding::shield(sets_after(10ms, flag));
        });
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
      CHECK(virtual_loop.elapsed() == 5ms);
      co_await sleep(10ms);
      CHECK(flag);
    });
  }
}

TEST_SUITE("outcomes") {
  TEST_CASE("an outcome is a value, an error or a cancellation, and tells which") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      Outcome<int> value = co_await siding::outcome_of(gives_after(1ms, 5));
      CHECK(value.has_value());
      CHECK_FALSE(value.cancelled());
      CHECK(value.error() == nullptr);
      CHECK(value.value() == 5);

      const auto error = co_await siding::outcome_of(throws_after<std::logic_error>(1ms, "no"));
      CHECK_FALSE(error.has_value());
      CHECK_FALSE(error.cancelled());
      CHECK_THROWS_WITH_AS(error.value(), "no", std::logic_error);

      Promise<void> promise;
      promise.future().cancel({.reason = "not needed"});
      const Outcome<void> cancelled = co_await siding::outcome_of(promise.future());
      CHECK(cancelled.cancelled());
      CHECK_FALSE(cancelled.has_value());
      CHECK_THROWS_AS(cancelled.value(), Cancelled);
      CHECK(text_of(cancelled.error()) == "cancelled: not needed");

      auto pointer = co_await siding::outcome_of([]() -> Task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(6);
      }());
      const std::unique_ptr<int> taken = std::move(pointer).value();
      CHECK(*taken == 6);
    });
  }

  TEST_CASE("a cancellation of the awaiting task itself is thrown, when the inside has ended") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      bool ended = false;
      bool went_on = false;
      const Future<> task = create_task([&]() -> Task<> {
        auto inside = siding::with_cleanup([]() -> Task<> { co_await sleep(1h); },
                                           [&]() -> Task<> {
                                             co_await sleep(5ms);
                                             ended = true;
                                           });
        static_cast<void>(co_await siding::outcome_of(std::move(inside)));
        went_on = true;
      });
      co_await turns(3);
      task.cancel();
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK(ended);
      CHECK_FALSE(went_on);
    });
  }

  // WT-004, WT-006
  TEST_CASE("gather_outcomes gives values, errors and cancellations in the order of its arguments") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const Promise<int> promise;
      const Future<int> cancelled = promise.future();
      auto gathered = siding::gather_outcomes(
          gives_after(3ms, 3), throws_after<std::out_of_range>(1ms, "range"), gives_after(0ms, 1),
          throws_after<std::logic_error>(5ms, "logic"), cancelled, sleep(1ms));
      const Future<> canceller = create_task([cancelled]() -> Task<> {
        co_await sleep(2ms);
        cancelled.cancel();
      });
      const auto [a, b, c, d, e, f] = co_await gathered;
      CHECK(a.value() == 3);
      CHECK_THROWS_AS(b.value(), std::out_of_range);
      CHECK(c.value() == 1);
      CHECK_THROWS_WITH_AS(d.value(), "logic", std::logic_error);
      CHECK(e.cancelled());
      CHECK(f.has_value());
    });
  }

  TEST_CASE("gather_outcomes takes ranges, and nothing") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      std::vector<Task<int>> tasks;
      tasks.push_back(gives_after(2ms, 1));
      tasks.push_back(throws_after<std::runtime_error>(1ms, "x"));
      const auto outcomes = co_await siding::gather_outcomes(std::move(tasks));
      REQUIRE(outcomes.size() == 2);
      CHECK(outcomes[0].value() == 1);
      CHECK(text_of(outcomes[1].error()) == "x");

      const auto none = co_await siding::gather_outcomes(std::vector<Task<int>>());
      CHECK(none.empty());
      const auto nothing = co_await siding::gather_outcomes();
      static_assert(std::tuple_size_v<std::remove_cvref_t<decltype(nothing)>> == 0);
    });
  }

  TEST_CASE("cancelling a gather_outcomes cancels every child, and waits for all") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const Future<int> first = create_task(gives_after(1h, 1));
      const Future<int> second = create_task(gives_after(1h, 2));
      const Future<> task = create_task([&]() -> Task<> {
        static_cast<void>(co_await siding::gather_outcomes(first, second));
      });
      co_await turns(3);
      task.cancel();
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK(first.cancelled());
      CHECK(second.cancelled());
    });
  }
}

TEST_SUITE("with_cleanup") {
  TEST_CASE("the cleanup runs after a value, an error and a cancellation, which then go on") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      int cleanups = 0;
      const auto tidy = [&cleanups]() -> Task<> {
        co_await sleep(1ms);
        ++cleanups;
      };
      const int value = co_await siding::with_cleanup([] { return gives_after(1ms, 8); }, tidy);
      CHECK(value == 8);
      CHECK(cleanups == 1);
      int& same = co_await siding::with_cleanup([&]() -> Task<int&> { co_return cleanups; }, tidy);
      CHECK(&same == &cleanups);
      CHECK(cleanups == 2);

      const auto failed = co_await siding::outcome_of(siding::with_cleanup(
          [] { return throws_after<std::logic_error>(1ms, "body"); }, tidy));
      CHECK(text_of(failed.error()) == "body");
      CHECK(cleanups == 3);

      const Future<> task = create_task(
          siding::with_cleanup([]() -> Task<> { co_await sleep(1h); }, tidy));
      co_await turns(2);
      task.cancel();
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK(cleanups == 4);
    });
  }

  TEST_CASE("an error of the cleanup is thrown, and that of the body reported") {
    VirtualLoop virtual_loop;
    const siding_test::Reports reports(virtual_loop.loop);
    virtual_loop.loop.run_until_complete([]() -> Task<> {
      const auto failed = co_await siding::outcome_of(siding::with_cleanup(
          [] { return throws_after<std::logic_error>(1ms, "body"); },
          []() -> Task<> { throw std::runtime_error("cleanup"); co_return; }));
      CHECK(text_of(failed.error()) == "cleanup");
    }());
    REQUIRE(reports.size() == 1);
  }
}

}  // namespace
}  // namespace siding_test::outcome_test
