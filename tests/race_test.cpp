// SPDX-License-Identifier: MIT
#include <siding/race.hpp>

#include <siding/cancellation.hpp>
#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/exception_group.hpp>
#include <siding/outcome.hpp>
#include <siding/promise.hpp>
#include <siding/sleep.hpp>
#include <siding/timeout.hpp>
#include <siding/wait.hpp>
#include <siding/with_cleanup.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/log_capture.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::race_test {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::ExceptionGroup;
using siding::Future;
using siding::Limit;
using siding::Promise;
using siding::RaceResult;
using siding::sleep;
using siding::Task;

Task<int> gives_after(Limit length, int value) {
  co_await sleep(length);
  co_return value;
}
template <class E>
Task<int> throws_after(Limit length, std::string text) {
  co_await sleep(length);
  throw E(text);
}

std::string text_of(const std::exception_ptr& error) {
  if (error == nullptr) return "none";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  } catch (const Cancelled&) {
    return "cancelled";
  }
}

template <class Body>
void on_a_loop(Body body) {
  VirtualLoop virtual_loop;
  virtual_loop.loop.run_until_complete(body(virtual_loop));
}

TEST_SUITE("race") {
  // WT-022
  TEST_CASE("it gives the first value and its place; the others are cancelled and have ended") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      const Future<int> last = create_task(gives_after(10s, 3));
      const RaceResult<int> won = co_await siding::race(
          throws_after<std::out_of_range>(10ms, "a"), gives_after(50ms, 2), last);
      CHECK(virtual_loop.elapsed() == 50ms);
      CHECK(won.value == 2);
      CHECK(won.index == 1);
      CHECK(last.cancelled());
      REQUIRE(won.errors.size() == 3);
      CHECK(text_of(won.errors[0]) == "a");
      CHECK(text_of(won.errors[1]) == "none");
      CHECK(text_of(won.errors[2]) == "cancelled");
    });
  }

  // WT-022
  TEST_CASE("if all fail their errors come out as one") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      const Promise<int> promise;
      const Future<int> cancelled = promise.future();
      cancelled.cancel();
      std::string text;
      std::vector<std::string> errors;
      try {
        const auto won = co_await siding::race(throws_after<std::logic_error>(2ms, "second"),
                                               throws_after<std::runtime_error>(1ms, "first"),
                                               cancelled);
        static_cast<void>(won);
      } catch (const ExceptionGroup& group) {
        text = group.what();
        for (const std::exception_ptr& error : group.errors()) errors.push_back(text_of(error));
      }
      CHECK(virtual_loop.elapsed() == 2ms);
      CHECK(errors == std::vector<std::string>{"second", "first", "cancelled"});
      CHECK(text.starts_with("all of a race failed: 3 errors: "));
    });
  }

  TEST_CASE("a value that is there already wins, and those before it in order win over it") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      Promise<int> first;
      Promise<int> second;
      first.set_value(1);
      second.set_value(2);
      std::vector<Future<int>> futures{first.future(), second.future()};
      const auto won = co_await siding::race(futures);
      CHECK(won.index == 0);
      CHECK(won.value == 1);
      const auto later = co_await siding::race(gives_after(0ms, 7), second.future());
      CHECK(later.index == 1);
      CHECK(virtual_loop.elapsed() == 0ms);
    });
  }

  TEST_CASE("it ends when the losers have tidied up; what they throw then is told") {
    const LogCapture log;
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      auto slow = siding::with_cleanup([] { return gives_after(1h, 1); },
                                       []() -> Task<> {
                                         co_await sleep(30ms);
                                         throw std::runtime_error("could not tidy up");
                                       });
      const auto won = co_await siding::race(std::move(slow), gives_after(10ms, 5));
      CHECK(virtual_loop.elapsed() == 40ms);
      CHECK(won.value == 5);
      CHECK(text_of(won.errors[0]) == "could not tidy up");
    });
    CHECK(log.lines().empty());
  }

  TEST_CASE("a loser that swallows its cancellation and gives a value is no winner") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const auto stubborn = []() -> Task<int> {
        try {
          co_await sleep(1h);
        } catch (const Cancelled&) {
        }
        co_return 1;
      };
      const auto won = co_await siding::race(stubborn(), gives_after(10ms, 5));
      CHECK(won.index == 1);
      CHECK(won.value == 5);
      CHECK(won.errors[0] == nullptr);
    });
  }

  TEST_CASE("results of several types are a variant, whose index is the winner's") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      auto text = []() -> Task<std::string> { co_return "text"; };
      const auto won = co_await siding::race(gives_after(1ms, 1), sleep(2ms), text());
      static_assert(std::is_same_v<decltype(won.value),
                                   std::variant<int, std::monostate, std::string>>);
      CHECK(won.index == 2);
      CHECK(won.value.index() == 2);
      CHECK(std::get<2>(won.value) == "text");

      const auto timed = co_await siding::race(gives_after(1h, 1), sleep(2ms), gives_after(1h, 2));
      static_assert(std::is_same_v<decltype(timed.value), std::variant<int, std::monostate, int>>);
      CHECK(timed.value.index() == 1);
    });
  }

  TEST_CASE("it takes ranges, futures, references, void and what can only be moved") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      std::vector<Task<std::unique_ptr<int>>> tasks;
      const auto make = [](Limit length, int value) -> Task<std::unique_ptr<int>> {
        co_await sleep(length);
        co_return std::make_unique<int>(value);
      };
      tasks.push_back(make(2ms, 1));
      tasks.push_back(make(1ms, 2));
      auto moved = co_await siding::race(std::move(tasks));
      CHECK(*moved.value == 2);

      int number = 3;
      const auto refer = [&number]() -> Task<int&> { co_return number; };
      const auto referred = co_await siding::race(refer(), refer());
      CHECK(&referred.value.get() == &number);

      const auto nothing = co_await siding::race(sleep(2ms), sleep(1ms));
      static_assert(std::is_same_v<decltype(nothing.value), std::monostate>);
      CHECK(nothing.index == 1);

      const auto one = co_await siding::race(gives_after(1ms, 6));
      CHECK(one.value == 6);
    });
  }

  TEST_CASE("the winner's value is moved and not copied") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const auto make = [](Limit length) -> Task<std::shared_ptr<int>> {
        co_await sleep(length);
        co_return std::make_shared<int>(1);
      };
      const auto won = co_await siding::race(make(1ms), make(2ms));
      CHECK(won.value.use_count() == 1);
    });
  }

  TEST_CASE("cancelling it cancels every child, and waits for all") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      bool tidied = false;
      const Future<int> first = create_task(siding::with_cleanup([] { return gives_after(1h, 1); },
                                                                 [&]() -> Task<> {
                                                                   co_await sleep(5ms);
                                                                   tidied = true;
                                                                 }));
      const Future<int> second = create_task(gives_after(1h, 2));
      const Future<> task = create_task([&]() -> Task<> {
        const auto won = co_await siding::race(first, second);
        static_cast<void>(won);
      });
      co_await turns(3);
      task.cancel();
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK(first.cancelled());
      CHECK(second.cancelled());
      CHECK(tidied);
      CHECK(virtual_loop.elapsed() == 5ms);
    });
  }

  TEST_CASE("a cancellation while the losers tidy up is thrown when they have ended") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      const auto slow = []() -> Task<int> {
        bool asked = false;
        try {
          co_await sleep(1h);
        } catch (const Cancelled&) {
          asked = true;
        }
        if (asked) co_await sleep(30ms);
        throw Cancelled();
      };
      const Future<> task = create_task([&]() -> Task<> {
        const auto won = co_await siding::race(slow(), gives_after(10ms, 5));
        static_cast<void>(won);
      });
      co_await sleep(20ms);
      task.cancel();
      co_await siding::wait(task);
      CHECK(task.cancelled());
      CHECK(virtual_loop.elapsed() == 20ms);  // the second request ended the tidying up
    });
  }

  TEST_CASE("a deadline around it ends it") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      bool late = false;
      try {
        co_await siding::timeout(5ms, []() -> Task<> {
          const auto won = co_await siding::race(gives_after(1h, 1), gives_after(1h, 2));
          static_cast<void>(won);
        });
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
      CHECK(virtual_loop.elapsed() == 5ms);
    });
  }

  TEST_CASE("a race of nothing is an error, as is one with a task that was moved from") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      auto nothing = siding::race(std::vector<Task<int>>());
      CHECK_THROWS_WITH_AS(
          co_await nothing,
          "race: there is nothing to await: give it at least one awaitable", std::invalid_argument);

      bool entered = false;
      auto first = [&]() -> Task<int> {
        entered = true;
        co_return 1;
      };
      Task<int> task = gives_after(1ms, 1);
      const Task<int> taken = std::move(task);
      auto bad = siding::race(first(), std::move(task));
      CHECK_THROWS_AS(co_await bad, siding::InvalidStateError);
      co_await turns(2);
      CHECK_FALSE(entered);
    });
  }
}

}  // namespace siding_test::race_test
