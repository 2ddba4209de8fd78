// SPDX-License-Identifier: MIT
// Handles that have nothing behind them any more: what uses them throws InvalidStateError.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::InvalidStateError;
using siding::Task;

constexpr const char* spent_task =
    "this task was awaited before, or moved from: await a task once, or share it through the future "
    "of create_task()";

Task<int> one() { co_return 1; }

Task<int> counts(int& started) {
  ++started;
  co_return started;
}

// A task that was moved from.
Task<int> gone() {
  Task<int> task = one();
  const Task<int> kept = std::move(task);
  return task;
}

TEST_SUITE("a task that was moved from or awaited") {
  TEST_CASE("run and the functions of a loop refuse a task that was moved from") {
    siding::EventLoop loop;

    CHECK_THROWS_WITH_AS(siding::run(gone()), spent_task, InvalidStateError);
    CHECK_THROWS_WITH_AS(loop.create_task(gone()), spent_task, InvalidStateError);
    CHECK_THROWS_WITH_AS(loop.run_until_complete(gone()), spent_task, InvalidStateError);

    CHECK(loop.run_until_complete(one()) == 1);
  }

  TEST_CASE("create_task refuses a task that was moved from, or awaited") {
    auto main = []() -> Task<> {
      CHECK_THROWS_WITH_AS(siding::create_task(gone()), spent_task, InvalidStateError);
      Task<int> awaited = one();
      co_await awaited;
      CHECK_THROWS_WITH_AS(siding::create_task(std::move(awaited)), spent_task, InvalidStateError);
    };

    siding::run(main);
  }

  TEST_CASE("gather refuses a task that was moved from, and starts none of the others") {
    int started = 0;
    auto main = [&started]() -> Task<> {
      auto listed = siding::gather(counts(started), gone());
      CHECK_THROWS_WITH_AS(co_await listed, spent_task, InvalidStateError);
      std::vector<Task<int>> tasks;
      tasks.push_back(counts(started));
      tasks.push_back(gone());
      auto ranged = siding::gather(std::move(tasks));
      CHECK_THROWS_WITH_AS(co_await ranged, spent_task, InvalidStateError);
      co_await siding::yield();
    };

    siding::run(main);

    CHECK(started == 0);
  }

  TEST_CASE("wait_for refuses a task that was moved from") {
    auto main = []() -> Task<> {
      auto limited = siding::wait_for(gone(), 1h);
      CHECK_THROWS_WITH_AS(co_await limited, spent_task, InvalidStateError);
    };

    siding::run(main);
  }
}

TEST_SUITE("a wait that was awaited") {
  TEST_CASE("a second await of one wait is refused") {
    auto main = []() -> Task<> {
      const Future<int> future = siding::create_task(one());
      auto once = siding::wait(future);
      const auto outcome = co_await once;
      CHECK(outcome.done.size() == 1);
      CHECK_THROWS_WITH_AS(
          co_await once,
          "this wait was awaited before, or moved from: a wait is awaited once; call wait() again",
          InvalidStateError);
    };

    siding::run(main);
  }
}

}  // namespace
