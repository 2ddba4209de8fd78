// SPDX-License-Identifier: MIT
// Cancellations that go a long way, or in a circle: bounded stack, and every task ends.
#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/gather.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <tuple>
#include <vector>

namespace siding_test::cancellation_depth_test {
namespace {

using siding::Future;
using siding::InvalidStateError;
using siding::Limit;
using siding::Task;

constexpr const char* awaits_itself =
    "a task awaits its own future, which would never end: await the future in another task";

// Waits for the task before it, or for ever; counts when it is cancelled.
Task<> after(Future<> previous, int& cancelled) {
  try {
    if (previous.valid()) {
      co_await previous;
    } else {
      co_await siding::sleep(Limit());
    }
  } catch (const siding::Cancelled&) {
    ++cancelled;
    throw;
  }
}

// The tasks of a chain, the newest last.
std::vector<Future<>> chain(int length, int& cancelled) {
  std::vector<Future<>> tasks;
  for (int i = 0; i < length; ++i)
    tasks.push_back(
        siding::create_task(after(tasks.empty() ? Future<>() : tasks.back(), cancelled)));
  return tasks;
}

// Tasks each of which awaits the next one, and the last the first.
using Tasks = std::shared_ptr<std::vector<Future<>>>;

Task<> awaits_one_of(Tasks tasks, std::size_t index) {
  co_await siding::yield();
  const Future<> awaited = (*tasks)[index];
  co_await awaited;
}

std::vector<Future<>> circle(std::size_t length) {
  const auto tasks = std::make_shared<std::vector<Future<>>>(length);
  for (std::size_t i = 0; i < length; ++i) {
    (*tasks)[i] = siding::create_task(awaits_one_of(tasks, (i + 1) % length));
  }
  return *tasks;
}

Task<> turns(int count) {
  for (int i = 0; i < count; ++i)
    co_await siding::yield();
}

Task<int> gathered(int depth, int& reached) {
  if (depth == 0) {
    ++reached;
    co_await siding::sleep(Limit());
    co_return 0;
  }
  const auto result = co_await siding::gather(gathered(depth - 1, reached));
  co_return std::get<0>(result);
}

TEST_SUITE("a task that awaits itself") {
  TEST_CASE("awaiting the own future is refused") {
    auto main = []() -> Task<> {
      const Future<> self = siding::create_task([]() -> Task<> {
        const siding::AnyFuture me = siding::current_task();
        co_await me;
      });
      CHECK_THROWS_WITH_AS(co_await self, awaits_itself, InvalidStateError);
    };

    siding::run(main);
  }

  TEST_CASE("gathering the own future is refused") {
    auto main = []() -> Task<> {
      Future<> self;
      self = siding::create_task([&self]() -> Task<> { co_await siding::gather(self); });
      CHECK_THROWS_WITH_AS(co_await self, awaits_itself, InvalidStateError);
    };

    siding::run(main);
  }
}

TEST_SUITE("tasks that await each other") {
  TEST_CASE("cancelling one of two tasks that await each other ends both") {
    auto main = []() -> Task<> {
      std::vector<Future<>> tasks = circle(2);
      co_await turns(3);
      CHECK(tasks[0].cancel());
      CHECK_THROWS_AS(co_await tasks[0], siding::Cancelled);
      CHECK_THROWS_AS(co_await tasks[1], siding::Cancelled);
    };

    siding::run(main);
  }

  TEST_CASE("cancelling one of a large circle of tasks ends all of them") {
    auto main = []() -> Task<> {
      std::vector<Future<>> tasks = circle(1000);
      co_await turns(3);
      CHECK(tasks[500].cancel());
      std::size_t ended = 0;
      for (const Future<>& task : tasks) {
        try {
          co_await task;
        } catch (const siding::Cancelled&) {
          ++ended;
        }
      }
      CHECK(ended == 1000);
    };

    siding::run(main);
  }

  TEST_CASE("cancelling a task that is gathered by the one it awaits ends both") {
    auto main = []() -> Task<> {
      Future<> gathering;
      const Future<> awaiting = siding::create_task([&gathering]() -> Task<> {
        co_await siding::yield();
        co_await gathering;
      });
      gathering =
          siding::create_task([awaiting]() -> Task<> { co_await siding::gather(awaiting); });
      co_await turns(4);
      CHECK(awaiting.cancel());
      CHECK_THROWS_AS(co_await gathering, siding::Cancelled);
      CHECK_THROWS_AS(co_await awaiting, siding::Cancelled);
    };

    siding::run(main);
  }

  TEST_CASE("the end of a run ends the tasks of circles, small and large") {
    std::vector<Future<>> left;
    auto main = [&left]() -> Task<> {
      for (const std::size_t length : {2U, 3U, 1000U})
        for (const Future<>& task : circle(length))
          left.push_back(task);
      co_await turns(3);
    };

    siding::run(main);

    std::size_t cancelled = 0;
    for (const Future<>& task : left)
      if (task.cancelled()) ++cancelled;
    CHECK(cancelled == 1005);
  }
}

TEST_SUITE("a cancellation that goes a long way") {
  TEST_CASE("the newest of 100 000 tasks that await one another is cancelled") {
    int cancelled = 0;
    auto main = [&cancelled]() -> Task<> {
      const std::vector<Future<>> tasks = chain(100'000, cancelled);
      co_await turns(2);
      CHECK(tasks.back().cancel());
      const Future<> last = tasks.back();
      CHECK_THROWS_AS(co_await last, siding::Cancelled);
      CHECK(last.cancelling() == 1);
    };

    siding::run(main);

    CHECK(cancelled == 100'000);
  }

  TEST_CASE("the end of a run asks 100 000 tasks that await one another, each once") {
    int cancelled = 0;
    std::vector<Future<>> tasks;
    auto main = [&]() -> Task<> {
      tasks = chain(100'000, cancelled);
      co_await turns(2);
    };

    siding::run(main);

    CHECK(cancelled == 100'000);
    CHECK(tasks.front().cancelling() == 1);
    CHECK(tasks.back().cancelling() == 1);
  }

  TEST_CASE("the innermost ends before those that wait for it, however deep") {
    std::vector<int> order;
    auto link = [&order](int number, Future<> previous) -> Task<> {
      try {
        if (previous.valid()) {
          co_await previous;
        } else {
          co_await siding::sleep(Limit());
        }
      } catch (const siding::Cancelled&) {
        order.push_back(number);
        throw;
      }
    };
    auto main = [&]() -> Task<> {
      Future<> last;
      for (int i = 0; i < 300; ++i)
        last = siding::create_task(link(i, last));
      co_await turns(2);
    };

    siding::run(main);

    REQUIRE(order.size() == 300);
    for (int i = 0; i < 300; ++i)
      CHECK(order[static_cast<std::size_t>(i)] == i);
  }

  TEST_CASE("gathers nested 20 000 deep are cancelled, by hand and by the end of a run") {
    for (const bool by_hand : {true, false}) {
      CAPTURE(by_hand);
      int reached = 0;
      Future<int> outermost;
      auto main = [&]() -> Task<> {
        outermost = siding::create_task(gathered(20'000, reached));
        while (reached == 0)
          co_await siding::yield();
        co_await siding::yield();
        if (by_hand) outermost.cancel();
      };

      siding::run(main);

      CHECK(outermost.cancelled());
    }
  }
}

}  // namespace
}  // namespace siding_test::cancellation_depth_test
