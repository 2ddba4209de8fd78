// SPDX-License-Identifier: MIT
// Handles that have nothing behind them any more: what uses them throws InvalidStateError.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

namespace siding_test::misuse_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::InvalidStateError;
using siding::Task;

constexpr const char* spent_task =
    "this task was awaited before, or moved from: await a task once, or share it through the "
    "future "
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

TEST_SUITE("an empty handle") {
  constexpr const char* empty_future =
      "this future is empty: it was moved from, or nothing was ever assigned to it; copy a handle "
      "before you move it";
  constexpr const char* moved_promise =
      "this promise was moved from: use the one that it was moved into";

  TEST_CASE("what needs a future throws, and the questions say no") {
    const Future<int> empty;

    CHECK_FALSE(empty.valid());
    CHECK_FALSE(empty.done());
    CHECK_FALSE(empty.running());
    CHECK_FALSE(empty.cancelled());
    CHECK_FALSE(empty.request_stop());
    CHECK(empty.cancelling() == 0);
    CHECK(empty.uncancel() == 0);
    CHECK_THROWS_WITH_AS(empty.get(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(Future<int>().get(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.result(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(Future<int>().result(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.exception(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.cancel(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.name(), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.set_name("x"), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.add_done_callback([] {}), empty_future, InvalidStateError);
    CHECK_THROWS_WITH_AS(empty.remove_done_callback({}), empty_future, InvalidStateError);
  }

  TEST_CASE("awaiting, waiting for and gathering an empty future throws") {
    int started = 0;
    auto main = [&started]() -> Task<> {
      const Future<int> empty;
      const siding::AnyFuture any;
      CHECK_THROWS_WITH_AS(co_await empty, empty_future, InvalidStateError);
      CHECK_THROWS_WITH_AS(co_await any, empty_future, InvalidStateError);
      CHECK_THROWS_WITH_AS(co_await Future<int>(), empty_future, InvalidStateError);
      CHECK_THROWS_WITH_AS(static_cast<void>(siding::wait(empty)), empty_future,
                           InvalidStateError);
      CHECK_THROWS_WITH_AS(static_cast<void>(siding::wait(std::vector<Future<>>(2))), empty_future,
                           InvalidStateError);
      auto gathering = siding::gather(counts(started), empty);
      CHECK_THROWS_WITH_AS(co_await gathering, empty_future, InvalidStateError);
      for (const auto limit : {0h, 1h}) {
        auto limited = siding::wait_for(empty, limit);
        CHECK_THROWS_WITH_AS(co_await limited, empty_future, InvalidStateError);
      }
      co_await siding::yield();
    };

    siding::run(main);

    CHECK(started == 0);
  }

  TEST_CASE("a promise that was moved from throws") {
    siding::Promise<int> promise;
    const siding::Promise<int> kept = std::move(promise);

    CHECK_THROWS_WITH_AS(promise.future(), moved_promise, InvalidStateError);
    CHECK_THROWS_WITH_AS(promise.start(), moved_promise, InvalidStateError);
    CHECK_THROWS_WITH_AS(promise.set_value(1), moved_promise, InvalidStateError);
    CHECK_THROWS_WITH_AS(promise.set_exception(nullptr), moved_promise, InvalidStateError);
    CHECK_THROWS_WITH_AS(promise.set_cancelled(), moved_promise, InvalidStateError);
  }

  TEST_CASE("a call that was moved from throws where it is awaited, and is not made") {
    auto main = []() -> Task<> {
      auto call = siding::to_thread([] { return 1; });
      auto kept = std::move(call);
      CHECK_THROWS_WITH_AS(
          co_await call,
          "this call was awaited before, or moved from: a call is made once; make a new one",
          InvalidStateError);
      CHECK(co_await kept == 1);
    };

    siding::run(main);
  }
}

}  // namespace
}  // namespace siding_test::misuse_test
