// SPDX-License-Identifier: MIT
#include <siding/task.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/awaitables.hpp"
#include "support/counted.hpp"
#include "support/log_capture.hpp"
#include "support/reports.hpp"

namespace siding_test::task_test {
namespace {

using namespace std::string_literals;
using siding::InvalidStateError;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;

Task<int> seven() { co_return 7; }
Task<int> seven_later() {
  co_await siding::yield();
  co_return 7;
}
Task<> set(bool& flag) {
  flag = true;
  co_return;
}
template <class E>
Task<int> throws(E error) {
  co_await siding::yield();
  throw error;
}

TEST_SUITE("Task") {
  static_assert(!std::copy_constructible<Task<int>> && !std::is_copy_assignable_v<Task<int>>);
  static_assert(std::is_nothrow_move_constructible_v<Task<int>>);
  static_assert(std::is_nothrow_move_assignable_v<Task<int>>);
  static_assert(!std::is_default_constructible_v<Task<int>>);
  static_assert(std::same_as<Task<>, Task<void>> && std::same_as<Task<int>::value_type, int>);
  static_assert(sizeof(Task<std::string>) == sizeof(void*));

  // CC-004
  TEST_CASE("calling a coroutine runs none of its body before the task is awaited") {
    bool entered = false;
    auto task = set(entered);
    CHECK_FALSE(entered);

    siding::run(std::move(task));

    CHECK(entered);
  }

  // CC-004
  TEST_CASE("a task that is dropped runs none of its body") {
    bool entered = false;
    { const auto task = set(entered); }

    CHECK_FALSE(entered);
  }

  // CC-005
  TEST_CASE("a task that is destroyed unstarted releases its arguments and reports nothing") {
    Counts counts;
    bool entered = false;
    const auto body = [](bool& flag, Counted, Counted, Counted) -> Task<> {
      flag = true;
      co_return;
    };
    const siding_test::LogCapture log;
    siding::EventLoop loop;
    const siding_test::Reports reports(loop);
    {
      const auto task = body(entered, Counted(counts), Counted(counts), Counted(counts));
      CHECK(counts.alive() == 3);
    }
    CHECK(counts.alive() == 0);

    loop.run_until_complete([&]() -> Task<> {
      const auto task = body(entered, Counted(counts), Counted(counts), Counted(counts));
      co_await siding::yield();
    });

    CHECK(counts.alive() == 0);
    CHECK_FALSE(entered);
    CHECK(reports.size() == 0);
    CHECK(log.lines().empty());
  }

  TEST_CASE("moving a task hands the coroutine on") {
    Counts counts;
    const auto body = [](Counted counted) -> Task<int> { co_return counted.value(); };
    auto first = body(Counted(counts, 1));
    auto second = body(Counted(counts, 2));

    Task<int> moved(std::move(first));
    second = std::move(moved);
    CHECK(counts.alive() == 1);  // what was assigned to has released its own

    CHECK(siding::run(std::move(second)) == 1);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("co_await gives what the coroutine returns") {
    const int sum = siding::run([]() -> Task<int> {
      const int at_once = co_await seven();
      const int later = co_await seven_later();
      auto named = seven();
      const int of_name = co_await named;
      const int of_moved_name = co_await std::move(named = seven_later());
      co_return at_once + later + of_name + of_moved_name;
    });

    CHECK(sum == 28);
  }

  TEST_CASE("a coroutine may return nothing") {
    bool entered = false;
    siding::run([&]() -> Task<> {
      static_assert(std::same_as<decltype(set(entered).operator co_await().await_resume()), void>);
      co_await set(entered);
    });

    CHECK(entered);
  }

  TEST_CASE("a coroutine may return a reference") {
    int number = 1;
    const std::string text = "text";
    siding::run([&]() -> Task<> {
      const auto of_number = [&]() -> Task<int&> { co_return number; };
      const auto of_text = [&]() -> Task<const std::string&> { co_return text; };

      int& got = co_await of_number();
      got = 2;
      const std::string& got_text = co_await of_text();

      CHECK(&got == &number);
      CHECK(&got_text == &text);
    });

    CHECK(number == 2);
  }

  TEST_CASE("a coroutine may return what can only be moved, and it is moved without a copy") {
    Counts counts;
    siding::run([&]() -> Task<> {
      const auto pointer = []() -> Task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(7);
      };
      const auto counted = [&]() -> Task<Counted> {
        Counted result(counts, 7);
        co_await siding::yield();
        co_return result;
      };

      const std::unique_ptr<int> got = co_await pointer();
      const Counted got_counted = co_await counted();

      CHECK(*got == 7);
      CHECK(got_counted.value() == 7);
    });

    CHECK(counts.copied == 0);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("a result type needs no default constructor and no assignment, and may be braced") {
    struct Point {
      const int x;
      const int y;
      Point() = delete;
      Point(int x_value, int y_value) : x(x_value), y(y_value) {}
    };
    const int sum = siding::run([]() -> Task<int> {
      const auto point = []() -> Task<Point> { co_return {3, 4}; };
      const auto text = []() -> Task<std::string> { co_return "four"; };
      const Point got = co_await point();
      const std::string got_text = co_await text();
      co_return got.x + got.y + static_cast<int>(got_text.size());
    });

    CHECK(sum == 11);
  }

  TEST_CASE("what the body throws is rethrown at the co_await, whatever its type") {
    siding::run([]() -> Task<> {
      std::string caught;
      try {
        co_await throws(std::out_of_range("k"));
      } catch (const std::out_of_range& error) {
        caught = error.what();
      }
      CHECK(caught == "k");

      int number = 0;
      try {
        co_await throws(7);
      } catch (int thrown) {
        number = thrown;
      }
      CHECK(number == 7);
    });
  }

  TEST_CASE("an exception passes through every caller, and any of them may go on after it") {
    struct Chain {
      static Task<int> down(int depth) {
        if (depth == 0) throw std::runtime_error("from below");
        const int got = co_await down(depth - 1);
        co_return got;
      }
    };
    siding::run([]() -> Task<> {
      for (int round = 0; round < 3; ++round) {
        bool caught = false;
        try {
          co_await Chain::down(100);
        } catch (const std::runtime_error& error) {
          caught = error.what() == "from below"s;
        }
        CHECK(caught);
      }
      const int after = co_await seven();
      CHECK(after == 7);
    });
  }

  TEST_CASE("an error in making the result is thrown at the co_await") {
    struct Unmovable {
      Unmovable() = default;
      Unmovable(Unmovable&&) { throw std::runtime_error("not moved"); }
    };
    const auto body = []() -> Task<Unmovable> {
      Unmovable result;
      co_return result;
    };

    CHECK_THROWS_WITH(siding::run([&]() -> Task<> { co_await body(); }), "not moved");
  }

  TEST_CASE("a second await of a task throws InvalidStateError, and its result stays good") {
    siding::run([]() -> Task<> {
      for (const bool suspends : {false, true}) {
        auto task = suspends ? seven_later() : seven();
        const int got = co_await task;

        bool refused = false;
        try {
          co_await task;
        } catch (const InvalidStateError& error) {
          refused = std::string(error.what()).find("awaited before") != std::string::npos;
        }

        CHECK(got == 7);
        CHECK(refused);
      }
    });
  }

  TEST_CASE("awaiting a task that was moved from throws InvalidStateError") {
    siding::run([]() -> Task<> {
      auto task = seven();
      const auto future = siding::create_task(std::move(task));

      bool refused = false;
      try {
        co_await task;
      } catch (const InvalidStateError&) {
        refused = true;
      }
      const int got = co_await future;

      CHECK(refused);
      CHECK(got == 7);
    });
  }

  TEST_CASE("a task that is awaited from two tasks serves the first and refuses the second") {
    siding::run([]() -> Task<> {
      auto shared = seven_later();
      const auto wait_for_it = [&]() -> Task<int> { co_return co_await shared; };
      const auto first = siding::create_task(wait_for_it());
      const auto second = siding::create_task(wait_for_it());

      const int got = co_await first;
      bool refused = false;
      try {
        co_await second;
      } catch (const InvalidStateError&) {
        refused = true;
      }

      CHECK(got == 7);
      CHECK(refused);
    });
  }

  TEST_CASE("any awaitable that resumes on its own thread can be awaited") {
    siding::run([]() -> Task<> {
      const int of_awaiter = co_await siding_test::Ready<int>(1);
      const int of_late_awaiter = co_await siding_test::ReadyAtLast();
      const int of_member = co_await siding_test::WithMemberOperator(2);
      const int of_free = co_await siding_test::WithFreeOperator(3);
      const auto of_move_only = co_await siding_test::Ready(std::make_unique<int>(4));
      const auto of_spawned = co_await siding::create_task(siding_test::WithFreeOperator(5));

      CHECK(of_awaiter == 1);
      CHECK(of_late_awaiter == 7);
      CHECK(of_member == 2);
      CHECK(of_free == 3);
      CHECK(*of_move_only == 4);
      CHECK(of_spawned == 5);
    });
  }

  TEST_CASE("what an awaitable throws, at any of its steps, is caught around the co_await") {
    using Step = siding_test::Throwing::Step;
    siding::run([]() -> Task<> {
      for (const Step step : {Step::ready, Step::suspend, Step::resume}) {
        bool caught = false;
        try {
          co_await siding_test::Throwing(step);
        } catch (const std::runtime_error& error) {
          caught = error.what() == "the awaitable threw"s;
        }
        CHECK(caught);
      }
    });
  }
}

}  // namespace
}  // namespace siding_test::task_test
