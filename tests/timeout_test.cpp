// SPDX-License-Identifier: MIT
#include <siding/timeout.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/future.hpp>
#include <siding/sleep.hpp>
#include <siding/task.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::timeout_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::Future;
using siding::InvalidStateError;
using siding::Limit;
using siding::sleep;
using siding::Task;
using siding::Timeout;
using siding::timeout;
using siding::timeout_at;
using siding::TimeoutError;
using siding_test::turns;
using siding_test::VirtualLoop;

int cancel_count() { return siding::current_task().cancelling(); }

// Whether awaiting it throws TimeoutError.
template <class A>
Task<bool> times_out(A awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const TimeoutError&) {
    co_return true;
  }
  co_return false;
}

// The text of the InvalidStateError that a call throws; empty if it throws none.
template <class F>
std::string refusal(F call) {
  try {
    call();
  } catch (const InvalidStateError& error) {
    return error.what();
  }
  return {};
}

TEST_SUITE("timeout") {
  // TO-001
  TEST_CASE("a scope throws TimeoutError at its deadline and says that it expired") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Timeout scope(10ms);
      const bool late = co_await times_out(scope.run([]() -> Task<> { co_await sleep(10s); }));
      CHECK(late);
      CHECK(scope.expired());
      CHECK(virtual_loop.elapsed() == 10ms);
    }());
  }

  // TO-002
  TEST_CASE("a body that ends in time gives its value, and leaves no timer behind") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Timeout scope(10s);
      const int value = co_await scope.run([]() -> Task<int> {
        co_await sleep(10ms);
        co_return 5;
      });
      CHECK(value == 5);
      CHECK_FALSE(scope.expired());
    }());
    // Virtual time would have jumped to the timer.
    virtual_loop.loop.run_until_complete(turns(3));
    CHECK(virtual_loop.elapsed() == 10ms);
  }

  // TO-003
  TEST_CASE("no limit is no deadline, and a deadline can be a point in time") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      std::optional<siding::TimePoint> seen;
      co_await timeout(Limit(), [&](Timeout& scope) -> Task<> {
        seen = scope.when();
        co_await sleep(10ms);
      });
      CHECK_FALSE(seen.has_value());

      const siding::TimePoint deadline = siding::EventLoop::current().time() + 10ms;
      auto call = timeout_at(deadline, [&](Timeout& scope) -> Task<> {
        seen = scope.when();
        co_await sleep(10s);
      });
      const bool late = co_await times_out(std::move(call));
      CHECK(late);
      CHECK(seen == deadline);
      CHECK(virtual_loop.elapsed() == 20ms);
    }());
  }

  // TO-004
  TEST_CASE("of nested scopes the one whose deadline passes throws, the other does not") {
    for (const bool inner_is_shorter : {true, false}) {
      VirtualLoop virtual_loop;
      virtual_loop.loop.run_until_complete([&]() -> Task<> {
        Timeout outer(inner_is_shorter ? 1s : 10ms);
        Timeout inner(inner_is_shorter ? 10ms : 1s);
        bool inner_threw = false;
        auto call = outer.run([&]() -> Task<> {
          inner_threw = co_await times_out(inner.run([]() -> Task<> { co_await sleep(10s); }));
        });
        const bool outer_threw = co_await times_out(std::move(call));
        CHECK(inner_threw == inner_is_shorter);
        CHECK(outer_threw != inner_is_shorter);
        CHECK(inner.expired() == inner_is_shorter);
        CHECK(outer.expired() != inner_is_shorter);
        CHECK(virtual_loop.elapsed() == 10ms);
      }());
    }
  }

  TEST_CASE("of nested scopes whose deadlines pass at the same time the outer one throws") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Timeout outer(10ms);
      Timeout inner(10ms);
      bool inner_threw = false;
      auto call = outer.run([&]() -> Task<> {
        inner_threw = co_await times_out(inner.run([]() -> Task<> { co_await sleep(10s); }));
      });
      const bool outer_threw = co_await times_out(std::move(call));
      CHECK_FALSE(inner_threw);
      CHECK(outer_threw);
      CHECK(cancel_count() == 0);
    }());
  }

  // TO-005
  TEST_CASE("the deadline of an active scope can be moved, and taken away") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      auto sooner = timeout(10s, [](Timeout& scope) -> Task<> {
        scope.reschedule(20ms);
        co_await sleep(1h);
      });
      CHECK(co_await times_out(std::move(sooner)));
      CHECK(virtual_loop.elapsed() == 20ms);

      const siding::TimePoint later = siding::EventLoop::current().time() + 1min;
      auto to_a_point = timeout(10ms, [&](Timeout& scope) -> Task<> {
        scope.reschedule_at(later);
        CHECK(scope.when() == later);
        co_await sleep(1h);
      });
      CHECK(co_await times_out(std::move(to_a_point)));
      CHECK(siding::EventLoop::current().time() == later);

      auto never = timeout(10ms, [](Timeout& scope) -> Task<> {
        scope.reschedule(Limit());
        CHECK_FALSE(scope.when().has_value());
        co_await sleep(50ms);
      });
      CHECK_FALSE(co_await times_out(std::move(never)));
    }());
  }

  TEST_CASE("a deadline that is moved to the past passes at once") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      for (const Limit limit : {Limit(0s), Limit(-1s)}) {
        auto moved = timeout(10s, [&](Timeout& scope) -> Task<> {
          scope.reschedule(limit);
          co_await sleep(1h);
        });
        CHECK(co_await times_out(std::move(moved)));
        CHECK(co_await times_out(timeout(limit, []() -> Task<> { co_await sleep(1h); })));
      }
      CHECK(virtual_loop.elapsed() == 0s);
    }());
  }

  // TO-006
  TEST_CASE("moving the deadline of a scope that is not active is refused, by its state") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Timeout scope(10ms);
      CHECK(refusal([&] { scope.reschedule(1s); }).find("has not been entered") != std::string::npos);
      std::string while_expiring;
      auto call = scope.run([&]() -> Task<> {
        try {
          co_await sleep(1h);
        } catch (const Cancelled&) {
          while_expiring = refusal([&] { scope.reschedule(1s); });
          throw;
        }
      });
      CHECK(co_await times_out(std::move(call)));
      CHECK(while_expiring.find("its deadline has passed") != std::string::npos);
      CHECK(refusal([&] { scope.reschedule(1s); }).find("its deadline passed") != std::string::npos);

      Timeout in_time(1s);
      co_await in_time.run([]() -> Task<> { co_return; });
      CHECK(refusal([&] { in_time.reschedule(1s); }).find("has ended") != std::string::npos);
    }());
  }

  TEST_CASE("a scope is entered once") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Timeout scope(1s);
      co_await scope.run([]() -> Task<> { co_return; });
      bool refused = false;
      try {
        co_await scope.run([]() -> Task<> { co_return; });
      } catch (const InvalidStateError&) {
        refused = true;
      }
      CHECK(refused);
    }());
  }

  // TO-007
  TEST_CASE("after its TimeoutError was caught the task goes on as if nothing had been") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> task = create_task([]() -> Task<int> {
        const bool late = co_await times_out(timeout(10ms, []() -> Task<> { co_await sleep(1h); }));
        CHECK(late);
        CHECK(cancel_count() == 0);
        co_await sleep(20ms);
        co_return 1;
      });
      const int value = co_await task;
      CHECK(value == 1);
      CHECK_FALSE(task.cancelled());
    }());
  }

  // TO-008
  TEST_CASE("a timeout works in the clean-up of a cancelled task") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool late = false;
      const Future<> task = create_task([&]() -> Task<> {
        bool cancelled = false;
        try {
          co_await sleep(1h);
        } catch (const Cancelled&) {
          cancelled = true;
        }
        late = co_await times_out(timeout(10ms, []() -> Task<> { co_await sleep(1s); }));
        if (cancelled) throw Cancelled();
      });
      co_await turns(1);
      task.cancel();
      co_await siding::wait(task);
      CHECK(late);
      CHECK(task.cancelled());
      CHECK(virtual_loop.elapsed() == 10ms);
    }());
  }

  TEST_CASE("a cancellation from outside stays one, also if the deadline passes before it arrives") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      for (const bool expires : {false, true}) {
        Timeout scope(10ms);
        const Future<> task = create_task([&]() -> Task<> {
          co_await scope.run([]() -> Task<> { co_await sleep(1h); });
        });
        if (expires) {
          co_await sleep(10ms);  // begun before the scope, so its turn comes between deadline and task
        } else {
          co_await turns(1);
        }
        task.cancel({.reason = "from outside"});
        co_await siding::wait(task);
        CHECK(task.cancelled());
        CHECK(scope.expired() == expires);
      }
    }());
  }

  TEST_CASE("what a body throws, also in answer to its deadline, comes out as it is") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      std::string text;
      try {
        co_await timeout(10ms, []() -> Task<> {
          try {
            co_await sleep(1h);
          } catch (const Cancelled&) {
            throw std::logic_error("from the clean-up");
          }
        });
      } catch (const std::logic_error& error) {
        text = error.what();
      }
      CHECK(text == "from the clean-up");
      CHECK(cancel_count() == 0);
    }());
  }

  TEST_CASE("a body that ends although its deadline has passed gives its value") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Timeout scope(10ms);
      const int value = co_await scope.run([]() -> Task<int> {
        try {
          co_await sleep(1h);
        } catch (const Cancelled&) {
        }
        co_return 7;
      });
      CHECK(value == 7);
      CHECK(scope.expired());
      CHECK(cancel_count() == 0);
    }());
  }

  TEST_CASE("a body may return a reference, and its captures live until it has ended") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      int target = 0;
      const std::string text(100, 'x');
      auto call = timeout(1s, [&target, text]() -> Task<int&> {
        co_await sleep(1ms);
        target = static_cast<int>(text.size());
        co_return target;
      });
      int& result = co_await call;
      CHECK(&result == &target);
      CHECK(target == 100);
    }());
  }
}

}  // namespace
}  // namespace siding_test::timeout_test
