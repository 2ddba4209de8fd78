// SPDX-License-Identifier: MIT
// Tasks that take their first step inside the call that creates them.
#include <siding/create_task.hpp>

#include <siding/context_var.hpp>
#include <siding/event_loop.hpp>
#include <siding/exception_group.hpp>
#include <siding/sleep.hpp>
#include <siding/task_group.hpp>
#include <siding/timeout.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::eager_task_test {

using namespace std::chrono_literals;
using siding::AnyFuture;
using siding::Cancelled;
using siding::create_task;
using siding::current_task;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding::TaskGroup;

template <class Body>
void on_a_loop(Body body) {
  VirtualLoop virtual_loop;
  virtual_loop.loop.run_until_complete(body(virtual_loop));
}

Task<int> gives(int value) { co_return value; }
Task<> sleeps() { co_await siding::sleep(1h); }

siding::ContextVar<int> variable{"variable"};

TEST_SUITE("an eager task") {
  // AF-009
  TEST_CASE("that returns without suspending is done before create_task returns") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      const std::uint64_t iterations = virtual_loop.loop.counters().iterations;
      const AnyFuture creator = current_task();
      AnyFuture inside;
      const Future<int> task = create_task(
          [&]() -> Task<int> {
            inside = current_task();
            co_return 3;
          },
          {.name = "eager", .eager = true});
      CHECK(task.done());
      CHECK(inside == task);
      CHECK(inside.name() == "eager");
      CHECK(current_task() == creator);
      const int value = co_await task;
      CHECK(value == 3);
      CHECK(virtual_loop.loop.counters().iterations == iterations);
    });
  }

  TEST_CASE("that suspends lets its creator go on, and goes on by the loop") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      std::string order;
      const Future<> task = create_task(
          [&]() -> Task<> {
            order += 'a';
            co_await siding::sleep(1ms);
            order += 'c';
          },
          {.eager = true});
      order += 'b';
      CHECK(task.running());
      CHECK(order == "ab");
      co_await task;
      CHECK(order == "abc");
    });
  }

  TEST_CASE("has what it throws in its future, and releases its arguments when it ends") {
    Counts counts;
    on_a_loop([&](VirtualLoop&) -> Task<> {
      const auto fails = [](Counted) -> Task<> {
        throw std::runtime_error("at once");
        co_return;
      };
      const Future<> task = create_task(fails(Counted(counts)), {.eager = true});
      CHECK(counts.alive() == 0);
      REQUIRE(task.done());
      CHECK_THROWS_WITH_AS(task.result(), "at once", std::runtime_error);

      const Future<> cancelled = create_task(
          []() -> Task<> {
            throw Cancelled("by itself");
            co_return;
          },
          {.eager = true});
      CHECK(cancelled.cancelled());
      co_return;
    });
  }

  TEST_CASE("begins with its creator's variables, and changes its own") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      variable.set(1);
      int seen = 0;
      const Future<> task = create_task(
          [&]() -> Task<> {
            seen = variable.get();
            variable.set(2);
            co_return;
          },
          {.eager = true});
      CHECK(task.done());
      CHECK(seen == 1);
      CHECK(variable.get() == 1);
      co_return;
    });
  }

  TEST_CASE("may cancel its creator, and be cancelled where it suspends") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      bool thrown = false;
      const Future<> outer = create_task([&]() -> Task<> {
        const AnyFuture self = current_task();
        const Future<> task = create_task(
            [&]() -> Task<> {
              self.cancel();
              co_await siding::sleep(1h);
            },
            {.eager = true});
        CHECK(self.cancelling() == 1);
        try {
          co_await siding::sleep(1h);
        } catch (const Cancelled&) {
          thrown = true;
        }
        task.cancel();
        co_await siding::wait(task);
        CHECK(task.cancelled());
      });
      co_await outer;
      CHECK(thrown);
    });
  }

  TEST_CASE("runs also if nobody keeps its future") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      int ran = 0;
      create_task(
          [&]() -> Task<> {
            ++ran;
            co_return;
          },
          {.eager = true});
      CHECK(ran == 1);
      create_task(
          [&]() -> Task<> {
            co_await turns(1);
            ++ran;
          },
          {.eager = true});
      co_await turns(3);
      CHECK(ran == 2);
    });
  }

  TEST_CASE("creates others like it, 32 inside one another and the rest by the loop") {
    struct Nest {
      static Task<int> dig(int depth, int& deepest) {
        deepest = std::max(deepest, depth);
        if (depth == 1000) co_return 0;
        Future<int> next = create_task(dig(depth + 1, deepest), {.eager = true});
        const int below = co_await next;
        co_return below + 1;
      }
    };
    on_a_loop([](VirtualLoop&) -> Task<> {
      int deepest = 0;
      const Future<int> task = create_task(Nest::dig(1, deepest), {.eager = true});
      CHECK(deepest == 32);
      const int depth = co_await task;
      CHECK(depth == 999);
      CHECK(deepest == 1000);
      // What was inside is over.
      const Future<int> again = create_task(gives(1), {.eager = true});
      CHECK(again.done());
    });
  }

  TEST_CASE("may be of anything that can be awaited") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const auto ready = create_task(siding::timeout(1h, [] { return gives(2); }), {.eager = true});
      CHECK(ready.done());
      CHECK(ready.result() == 2);
      const Future<> sleeping = create_task(siding::sleep(1ms), {.eager = true});
      CHECK(sleeping.running());
      co_await sleeping;
    });
  }

  TEST_CASE("is started in a callback too, but not before its loop runs") {
    EventLoop loop;
    bool ran = false;
    const auto body = [&]() -> Task<> {
      ran = true;
      co_return;
    };
    const Future<> early = loop.create_task(body, {.eager = true});
    CHECK_FALSE(ran);
    loop.call_soon([&] {
      ran = false;
      const Future<> task = create_task(body, {.eager = true});
      CHECK(task.done());
      CHECK(ran);
      CHECK_FALSE(current_task().valid());
    });
    loop.run_until_complete(turns(2));
    CHECK(early.done());
  }

  TEST_CASE("of a group that fails at once ends the group") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      std::string error;
      bool refused = false;
      try {
        co_await siding::with_task_group([&](TaskGroup& group) -> Task<> {
          group.start(sleeps(), {.eager = true});
          group.start(
              []() -> Task<> {
                throw std::runtime_error("at once");
                co_return;
              },
              {.eager = true});
          try {
            group.start(gives(1), {.eager = true});
          } catch (const siding::InvalidStateError&) {
            refused = true;
          }
          co_await siding::sleep(1h);
        });
      } catch (const siding::ExceptionGroup& group) {
        error = group.what();
      }
      CHECK(refused);
      CHECK(error.find("at once") != std::string::npos);
      CHECK(virtual_loop.elapsed() == 0ms);
    });
  }

  TEST_CASE("of a group gives its future, done") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      bool done = false;
      const Future<int> child = co_await siding::with_task_group([&](TaskGroup& group) {
        Future<int> started = group.create_task(gives(4), {.eager = true});
        done = started.done();
        return started;
      });
      CHECK(done);
      CHECK(child.result() == 4);
    });
  }
}

}  // namespace siding_test::eager_task_test
