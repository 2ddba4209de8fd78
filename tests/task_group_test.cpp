// SPDX-License-Identifier: MIT
#include <siding/task_group.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/exception_group.hpp>
#include <siding/future.hpp>
#include <siding/sleep.hpp>
#include <siding/timeout.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/heap_bytes.hpp"
#include "support/log_capture.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::task_group_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::ExceptionGroup;
using siding::Future;
using siding::InvalidStateError;
using siding::Limit;
using siding::sleep;
using siding::Task;
using siding::TaskGroup;
using siding::with_task_group;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::turns;
using siding_test::VirtualLoop;

int cancel_count() { return siding::current_task().cancelling(); }

Task<int> gives_after(Limit length, int value) {
  co_await sleep(length);
  co_return value;
}

Task<> throws_after(Limit length, std::string text) {
  co_await sleep(length);
  throw std::runtime_error(text);
}

// Sleeps for an hour, and counts how it ended; tidying up takes a while.
Task<> sleeps_long(int& cancelled, Limit tidying = {0s}) {
  bool ended = false;
  try {
    co_await sleep(1h);
  } catch (const Cancelled&) {
    ended = true;
  }
  if (!ended) co_return;
  co_await sleep(tidying);
  ++cancelled;
  throw Cancelled();
}

// Throws something else when it is cancelled.
Task<> fails_when_cancelled(std::string text) {
  try {
    co_await sleep(1h);
  } catch (const Cancelled&) {
    throw std::logic_error(text);
  }
}

// The texts of the errors in the group that awaiting it throws, in a row; empty if it throws none.
template <class A>
Task<std::string> errors_of(A awaitable) {
  std::string texts;
  try {
    co_await std::move(awaitable);
  } catch (const ExceptionGroup& group) {
    group.for_each<std::exception>([&texts](const std::exception& error) {
      texts += texts.empty() ? "" : ", ";
      texts += error.what();
    });
  }
  co_return texts;
}

template <class Body>
void on_a_loop(Body body) {
  VirtualLoop virtual_loop;
  virtual_loop.loop.run_until_complete(body(virtual_loop));
}

TEST_SUITE("task groups") {
  // TG-001
  TEST_CASE("leaving a group waits for its children, whose results can be read then") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      const auto [first, second] = co_await with_task_group([](TaskGroup& group) {
        return std::pair(group.create_task(gives_after(100ms, 42)),
                         group.create_task(gives_after(200ms, 11)));
      });
      CHECK(virtual_loop.elapsed() == 200ms);
      CHECK(first.result() == 42);
      CHECK(second.result() == 11);
    });
  }

  TEST_CASE("a body may be a coroutine, and give a value, nothing, or a reference") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      int ran = 0;
      const int value = co_await with_task_group([&ran](TaskGroup& group) -> Task<int> {
        group.start([&ran]() -> Task<> {
          co_await sleep(1ms);
          ++ran;
        });
        co_await sleep(10ms);
        co_return ran;
      });
      CHECK(value == 1);
      co_await with_task_group([&ran](TaskGroup& group) -> Task<> {
        group.start([&ran]() -> Task<> {
          ++ran;
          co_return;
        });
        co_return;
      });
      CHECK(ran == 2);
      int& same = co_await with_task_group([&ran](TaskGroup&) -> Task<int&> { co_return ran; });
      CHECK(&same == &ran);
      auto pointer = co_await with_task_group([](TaskGroup&) { return std::make_unique<int>(3); });
      CHECK(*pointer == 3);
      co_await with_task_group([](TaskGroup&) {});
    });
  }

  // TG-002
  TEST_CASE("a child that fails cancels its siblings and the body, and its error comes out grouped") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      int cancelled = 0;
      auto group = with_task_group([&cancelled](TaskGroup& children) -> Task<> {
        children.start(throws_after(10ms, "first"));
        children.start(sleeps_long(cancelled));
        const Future<> seen = children.create_task(sleeps_long(cancelled));
        auto own = sleeps_long(cancelled);
        co_await std::move(own);
      });
      const std::string errors = co_await errors_of(std::move(group));
      CHECK(errors == "first");
      CHECK(cancelled == 3);
      CHECK(virtual_loop.elapsed() == 10ms);
      CHECK(cancel_count() == 0);
    });
  }

  TEST_CASE("a body that throws cancels the children, and its error is in the group") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      int cancelled = 0;
      auto group = with_task_group([&cancelled](TaskGroup& children) -> Task<> {
        children.start(sleeps_long(cancelled));
        co_await turns(2);
        throw std::runtime_error("body");
      });
      const std::string errors_1 = co_await errors_of(std::move(group));
      CHECK(errors_1 == "body");
      CHECK(cancelled == 1);

      // As a plain function, which throws before its children have begun.
      auto plain = with_task_group([&cancelled](TaskGroup& children) {
        children.start(sleeps_long(cancelled));
        throw std::runtime_error("plain");
      });
      const std::string errors_2 = co_await errors_of(std::move(plain));
      CHECK(errors_2 == "plain");
      CHECK(cancelled == 1);
    });
  }

  // TG-003
  TEST_CASE("a cancellation from outside cancels all children, waits for them, and goes on") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      int cancelled = 0;
      for (const bool body_waits : {false, true}) {
        const Future<> task = create_task([&]() -> Task<> {
          co_await with_task_group([&](TaskGroup& group) -> Task<> {
            for (int i = 0; i < 5; ++i) group.start(sleeps_long(cancelled, 30ms));
            if (body_waits) co_await sleep(1h);
          });
        });
        co_await turns(3);
        const auto start = virtual_loop.elapsed();
        task.cancel({.reason = "enough"});
        co_await siding::wait(task);
        CHECK(task.cancelled());
        CHECK(virtual_loop.elapsed() - start == 30ms);
      }
      CHECK(cancelled == 10);
    });
  }

  // TG-004
  TEST_CASE("an error of a child that is being cancelled from outside wins over the cancellation") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      bool cancelled_after = false;
      const Future<> task = create_task([&]() -> Task<> {
        auto group = with_task_group([](TaskGroup& children) {
          children.start(fails_when_cancelled("tidying"));
        });
        const std::string errors = co_await errors_of(std::move(group));
        CHECK(errors == "tidying");
        // The request is not forgotten.
        try {
          co_await siding::yield();
        } catch (const Cancelled&) {
          cancelled_after = true;
        }
      });
      co_await turns(3);
      task.cancel();
      co_await siding::wait(task);
      CHECK(cancelled_after);
    });
  }

  // TG-005
  TEST_CASE("a group that is failing, or has ended, takes no task, and destroys it cleanly") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      const siding_test::LogCapture log;
      Counts counts;
      const auto child = [](Counted) -> Task<> { co_return; };
      int refused = 0;
      const auto add = [&](TaskGroup& group) {
        try {
          group.start(child(Counted(counts)));
        } catch (const InvalidStateError&) {
          ++refused;
        }
      };
      auto failing = with_task_group([&](TaskGroup& group) {
        group.start(throws_after(1ms, "first"));
        group.start([&]() -> Task<> {
          try {
            co_await sleep(1h);
          } catch (const Cancelled&) {
            add(group);
            throw;
          }
        });
      });
      const std::string errors_3 = co_await errors_of(std::move(failing));
      CHECK(errors_3 == "first");
      CHECK(refused == 1);

      // In a callback that runs between the end of the last child and that of the group.
      co_await with_task_group([&](TaskGroup& group) {
        const Future<int> last = group.create_task(gives_after(1ms, 1));
        last.add_done_callback([&] { add(group); });
      });
      CHECK(refused == 2);
      CHECK(counts.made > 0);
      CHECK(counts.alive() == 0);
      CHECK(log.lines().empty());
    });
  }

  // TG-006
  TEST_CASE("after a group's error was caught the task goes on as if nothing had been") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      auto group = with_task_group([](TaskGroup& children) -> Task<> {
        children.start(throws_after(1ms, "child"));
        auto own = fails_when_cancelled("body");
        co_await std::move(own);
      });
      const std::string errors = co_await errors_of(std::move(group));
      CHECK(errors == "child, body");
      CHECK(cancel_count() == 0);
      co_await sleep(10ms);
    });
  }

  // TG-007
  TEST_CASE("children that have ended are released while the group goes on") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      co_await with_task_group([](TaskGroup& group) -> Task<> {
        const auto round = [&group]() -> Task<> {
          for (int i = 0; i < 1000; ++i) group.start(gives_after(0s, i));
          co_await turns(5);
        };
        co_await round();
        const std::size_t before = siding_test::heap_bytes();
        for (int i = 0; i < 100; ++i) co_await round();
        CHECK(siding_test::heap_bytes() <= before + 100'000);
      });
    });
  }

  // TG-010
  TEST_CASE("a group can be cancelled on purpose, and ends without an error") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      int cancelled = 0;
      co_await with_task_group([&](TaskGroup& group) -> Task<> {
        group.start(sleeps_long(cancelled, 1s));
        group.start([&group]() -> Task<> {
          co_await sleep(100ms);
          group.cancel();
          group.cancel();
        });
        co_await sleep(1h);
      });
      CHECK(cancelled == 1);
      CHECK(virtual_loop.elapsed() == 1100ms);
      CHECK(cancel_count() == 0);

      // A limit outside comes through.
      auto limited = siding::timeout(500ms, [&]() -> Task<> {
        co_await with_task_group([&](TaskGroup& group) {
          group.start(sleeps_long(cancelled, 1s));
          group.start([&group]() -> Task<> {
            co_await sleep(100ms);
            group.cancel();
          });
        });
      });
      bool late = false;
      try {
        co_await limited;
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
    });
  }

  TEST_CASE("a body that was to give a value and was cut off by cancel() is told apart") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      bool refused = false;
      try {
        static_cast<void>(co_await with_task_group([](TaskGroup& group) -> Task<int> {
          group.cancel();
          co_await sleep(1h);
          co_return 1;
        }));
      } catch (const InvalidStateError&) {
        refused = true;
      }
      CHECK(refused);
      // One that ends all the same gives it.
      const int value = co_await with_task_group([](TaskGroup& group) -> Task<int> {
        group.cancel();
        co_return 1;
      });
      CHECK(value == 1);
      CHECK(cancel_count() == 0);
    });
  }

  TEST_CASE("children may add children, and groups may be nested") {
    on_a_loop([](VirtualLoop& virtual_loop) -> Task<> {
      std::vector<int> order;
      co_await with_task_group([&](TaskGroup& group) {
        group.start([&]() -> Task<> {
          co_await sleep(1ms);
          group.start([&]() -> Task<> {
            co_await sleep(1ms);
            order.push_back(2);
          });
          order.push_back(1);
        });
      });
      CHECK(order == std::vector{1, 2});
      CHECK(virtual_loop.elapsed() == 2ms);

      auto nested = with_task_group([](TaskGroup& outer) {
        outer.start([]() -> Task<> {
          co_await with_task_group([](TaskGroup& inner) {
            inner.start(throws_after(1ms, "deep"));
            inner.start(fails_when_cancelled("deep too"));
          });
        });
        outer.start(fails_when_cancelled("shallow"));
      });
      const std::string errors_4 = co_await errors_of(std::move(nested));
      CHECK(errors_4 == "deep, deep too, shallow");
    });
  }

  TEST_CASE("an error of a child is the group's, and is not also reported as unread") {
    const siding_test::LogCapture log;
    on_a_loop([](VirtualLoop&) -> Task<> {
      auto group = with_task_group([](TaskGroup& children) {
        return children.create_task(throws_after(1ms, "once"));
      });
      const std::string errors_5 = co_await errors_of(std::move(group));
      CHECK(errors_5 == "once");
    });
    CHECK(log.lines().empty());
  }

  TEST_CASE("a child that is cancelled by its own handle is no failure") {
    on_a_loop([](VirtualLoop&) -> Task<> {
      int cancelled = 0;
      const Future<> child = co_await with_task_group([&](TaskGroup& group) -> Task<Future<>> {
        Future<> one = group.create_task(sleeps_long(cancelled));
        co_await turns(2);
        one.cancel();
        co_return one;
      });
      CHECK(child.cancelled());
      CHECK(cancelled == 1);
    });
  }

  TEST_CASE("a loop that is closed under a group destroys children and body in any order") {
    Counts counts;
    {
      siding::EventLoop loop;
      loop.create_task([&]() -> Task<> {
        co_await with_task_group([&](TaskGroup& group) -> Task<> {
          const auto child = [](Counted) -> Task<> { co_await sleep(1h); };
          for (int i = 0; i < 3; ++i) group.start(child(Counted(counts)));
          co_await sleep(1h);
        });
      });
      loop.run_until_complete(turns(3));
      CHECK(counts.alive() == 3);
      loop.close();
    }
    CHECK(counts.alive() == 0);
  }
}

TEST_SUITE("ExceptionGroup") {
  // TG-011
  TEST_CASE("errors are found by type, through nested groups") {
    const auto inner = std::make_exception_ptr(
        ExceptionGroup({std::make_exception_ptr(std::out_of_range("a")),
                        std::make_exception_ptr(std::out_of_range("b"))}));
    const ExceptionGroup group({std::make_exception_ptr(std::logic_error("c")), inner,
                                std::make_exception_ptr(7)},
                               "two went wrong");

    CHECK(group.errors().size() == 3);
    CHECK(group.contains<std::out_of_range>());
    CHECK(group.contains<int>());
    CHECK_FALSE(group.contains<std::runtime_error>());
    std::string texts;
    group.for_each<std::out_of_range>([&](const std::out_of_range& error) { texts += error.what(); });
    CHECK(texts == "ab");
    const auto [wanted, others] = group.split<std::out_of_range>();
    CHECK(wanted.size() == 2);
    CHECK(others.size() == 2);
    CHECK(group.filter<std::logic_error>().size() == 3);  // out_of_range is one

    const std::string what = group.what();
    for (const char* part : {"two went wrong: 3 errors", "std::logic_error: c", "out_of_range: a",
                             "out_of_range: b", "int"}) {
      CHECK_MESSAGE(what.find(part) != std::string::npos, what);
    }
  }

  TEST_CASE("a group has errors, and none of them is null") {
    CHECK_THROWS_AS(ExceptionGroup({}), std::invalid_argument);
    CHECK_THROWS_AS(ExceptionGroup({nullptr}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace siding_test::task_group_test
