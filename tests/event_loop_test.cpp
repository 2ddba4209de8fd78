// SPDX-License-Identifier: MIT
#include <siding/event_loop.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/promise.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/reports.hpp"
#include "support/sleep_watch.hpp"

namespace siding_test::event_loop_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding::TimerHandle;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::SleepWatch;

Task<int> value_of(int value) {
  co_await siding::yield();
  co_return value;
}

Task<> set(bool& flag) {
  flag = true;
  co_return;
}

TEST_SUITE("EventLoop") {
  // LP-001
  TEST_CASE("call_soon calls in order, in the iteration after the one that scheduled it") {
    EventLoop loop;
    std::string calls;
    std::vector<std::uint64_t> iterations;
    auto call = [&](char name) {
      calls += name;
      iterations.push_back(loop.counters().iterations);
    };

    loop.call_soon([&] {
      call('a');
      loop.call_soon([&] {
        call('c');
        loop.stop();
      });
      CHECK(calls == "a");
    });
    loop.call_soon([&] { call('b'); });
    loop.run_forever();

    CHECK(calls == "abc");
    CHECK(iterations[1] == iterations[0]);
    CHECK(iterations[2] == iterations[0] + 1);
  }

  // LP-002
  TEST_CASE("a call that was cancelled is never made, and its function is destroyed at once") {
    EventLoop loop;
    Counts counts;
    int calls = 0;
    auto call = [&calls, kept = Counted(counts)] { ++calls; };
    const int kept_here = counts.alive();
    TimerHandle soon = loop.call_soon(call);
    TimerHandle later = loop.call_later(1ms, call);
    TimerHandle at = loop.call_at(loop.time() + 1ms, call);
    REQUIRE(counts.alive() == kept_here + 3);
    CHECK_FALSE(soon.cancelled());

    soon.cancel();
    later.cancel();
    at.cancel();
    at.cancel();

    CHECK(counts.alive() == kept_here);
    CHECK(soon.cancelled());
    CHECK(later.cancelled());
    CHECK(at.cancelled());
    CHECK(loop.counters().timers == 0);
    loop.call_later(2ms, [&] { loop.stop(); });
    loop.run_forever();
    CHECK(calls == 0);
  }

  TEST_CASE("a call can cancel the one that is ready behind it") {
    EventLoop loop;
    std::optional<TimerHandle> second;
    bool called = false;

    loop.call_soon([&] {
      second->cancel();
      loop.stop();
    });
    second = loop.call_soon([&] { called = true; });
    loop.run_forever();

    CHECK_FALSE(called);
    CHECK(second->cancelled());
  }

  TEST_CASE("a handle is a name for the call: dropping it or cancelling too late changes nothing") {
    std::optional<TimerHandle> handle;
    Counts counts;
    {
      EventLoop loop;
      bool called = false;
      loop.call_soon([&] { called = true; });
      handle = loop.call_soon([&loop, kept = Counted(counts)] { loop.stop(); });
      loop.run_forever();
      CHECK(called);

      CHECK(counts.alive() == 0);
      handle->cancel();
      CHECK_FALSE(handle->cancelled());

      handle = loop.call_later(1h, [kept = Counted(counts)] {});
    }
    CHECK(counts.alive() == 0);
    CHECK(handle->cancelled());
    handle->cancel();
  }

  TEST_CASE("when() is the time at which a call is due") {
    EventLoop loop;
    const auto before = loop.time();

    const TimerHandle later = loop.call_later(1h, [] {});
    const TimerHandle at = loop.call_at(before + 2h, [] {});
    const TimerHandle soon = loop.call_soon([] {});

    CHECK(later.when() >= before + 1h);
    CHECK(later.when() <= loop.time() + 1h);
    CHECK(at.when() == before + 2h);
    CHECK(soon.when() >= before);
    CHECK(soon.when() <= loop.time());
  }

  // LP-006
  TEST_CASE("call_soon_threadsafe wakes a loop that is asleep in the kernel") {
    auto best = Clock::duration::max();
    for (int round = 0; round < 20; ++round) {
      EventLoop loop;
      std::thread other;
      siding::TimePoint posted{};
      siding::TimePoint called{};

      loop.call_later(60s, [] {});
      loop.call_soon([&] {
        other = std::thread([&, watch = SleepWatch()] {
          watch.wait_until_asleep();
          posted = Clock::now();
          loop.call_soon_threadsafe([&] {
            called = Clock::now();
            loop.stop();
          });
        });
      });
      loop.run_forever();
      other.join();

      CHECK(called - posted < 10s);
      best = std::min(best, called - posted);
      CHECK(loop.counters().wakes == 1);
      CHECK(loop.counters().sleeps == 1);
    }
    CHECK(best < 5ms * siding_test::slowness);
  }

  TEST_CASE("call_soon_threadsafe on the loop's own thread comes after what is ready") {
    EventLoop loop;
    std::string calls;

    loop.call_soon_threadsafe([&] { calls += 'a'; });
    loop.call_soon_threadsafe([&] {
      calls += 'b';
      loop.call_soon_threadsafe([&] {
        calls += 'd';
        loop.stop();
      });
    });
    loop.call_soon_threadsafe([&] { calls += 'c'; });
    loop.run_forever();

    CHECK(calls == "abcd");
  }

  TEST_CASE("functions need only be movable") {
    EventLoop loop;
    int sum = 0;
    auto add = [&sum](int value) {
      return [&sum, value = std::make_unique<int>(value)] { sum += *value; };
    };

    loop.call_soon(add(1));
    loop.call_soon_threadsafe(add(10));
    loop.call_at(loop.time(), add(100));
    loop.call_later(1ms, [&loop, last = add(1000)] {
      last();
      loop.stop();
    });
    loop.run_forever();

    CHECK(sum == 1111);
  }

  // LP-012
  TEST_CASE("run_until_complete returns what the task returns, and throws what it throws") {
    EventLoop loop;
    auto throws = []() -> Task<int> {
      co_await siding::yield();
      throw std::out_of_range("spam");
    };

    CHECK(loop.run_until_complete(value_of(42)) == 42);
    CHECK_THROWS_WITH_AS(loop.run_until_complete(throws), "spam", std::out_of_range);
    auto keeps = [kept = std::make_unique<int>(7)]() -> Task<std::unique_ptr<int>> {
      co_await siding::yield();
      co_return std::make_unique<int>(*kept + 1);
    };
    CHECK(*loop.run_until_complete(std::move(keeps)) == 8);
  }

  // LP-011
  TEST_CASE("stop() lets what is ready run, and the loop can be run again") {
    EventLoop loop;
    std::string calls;
    loop.call_soon([&] {
      calls += 'a';
      loop.stop();
      loop.call_soon([&] { calls += 'c'; });
    });
    loop.call_soon([&] { calls += 'b'; });

    loop.run_forever();
    CHECK(calls == "ab");
    CHECK_FALSE(loop.is_running());

    loop.call_soon([&] { loop.stop(); });
    loop.run_forever();
    CHECK(calls == "abc");
    CHECK(loop.run_until_complete(value_of(3)) == 3);
  }

  TEST_CASE("a loop that is stopped before it runs makes one iteration") {
    EventLoop loop;
    std::string calls;
    loop.call_soon([&] {
      calls += 'a';
      loop.call_soon([&] { calls += 'b'; });
    });

    loop.stop();
    loop.stop();
    loop.run_forever();

    CHECK(calls == "a");
  }

  TEST_CASE("another thread can stop a loop that is asleep") {
    EventLoop loop;
    std::thread other;

    loop.call_soon([&] {
      other = std::thread([&, watch = SleepWatch()] {
        watch.wait_until_asleep();
        loop.stop();
      });
    });
    loop.run_forever();
    other.join();

    CHECK_FALSE(loop.is_running());
  }

  TEST_CASE("a task whose run was stopped goes on in the next run") {
    EventLoop loop;
    Future<int> task = loop.create_task(value_of(5));
    auto stops = [&]() -> Task<> {
      loop.stop();
      co_await siding::sleep(siding::Limit());
    };

    CHECK_THROWS_AS(loop.run_until_complete(stops), siding::InvalidStateError);

    auto joins = [&]() -> Task<int> { co_return co_await task; };
    CHECK(loop.run_until_complete(joins) == 5);
  }

  // LP-013
  TEST_CASE("a loop that runs cannot be run from inside; what runs goes on") {
    EventLoop loop;
    Counts counts;
    bool entered = false;
    auto body = [&]() -> Task<int> {
      auto other = [&entered, kept = Counted(counts)]() -> Task<> { return set(entered); };
      CHECK_THROWS_WITH_AS(loop.run_until_complete(std::move(other)),
                           "run_until_complete: a loop is running on this thread already; use "
                           "co_await or create_task() inside it",
                           std::logic_error);
      CHECK_THROWS_AS(loop.run_forever(), std::logic_error);
      co_await siding::yield();
      co_return 1;
    };

    CHECK(loop.run_until_complete(body) == 1);
    CHECK_FALSE(entered);
    CHECK(counts.alive() == 0);
  }

  // LP-014
  TEST_CASE("another loop cannot be run on the thread of a running loop; the first goes on") {
    EventLoop outer;
    bool entered = false;
    auto body = [&]() -> Task<int> {
      EventLoop inner;
      CHECK_THROWS_AS(inner.run_until_complete(set(entered)), std::logic_error);
      CHECK_THROWS_AS(inner.run_forever(), std::logic_error);
      CHECK(&EventLoop::current() == &outer);
      co_await siding::yield();
      co_return 2;
    };

    CHECK(outer.run_until_complete(body) == 2);
    CHECK_FALSE(entered);
  }

  TEST_CASE("a loop belongs to the first thread that runs it") {
    EventLoop loop;
    std::thread([&] { CHECK(loop.run_until_complete(value_of(1)) == 1); }).join();

    CHECK_THROWS_WITH_AS(
        loop.run_until_complete(value_of(2)),
        "run_until_complete: this event loop belongs to the thread that ran it first; run it "
        "there, or make a loop for each thread",
        std::logic_error);
  }

  TEST_CASE("current() is the running loop of the calling thread") {
    EventLoop loop;
    CHECK(EventLoop::current_or_null() == nullptr);
    CHECK_THROWS_WITH_AS(EventLoop::current(),
                         "EventLoop::current needs a running loop: call it in a coroutine given to "
                         "siding::run()",
                         siding::NoRunningLoop);
    auto body = [&]() -> Task<> {
      CHECK(&EventLoop::current() == &loop);
      CHECK(loop.is_running());
      std::thread([] { CHECK(EventLoop::current_or_null() == nullptr); }).join();
      co_await siding::yield();
      CHECK(EventLoop::current_or_null() == &loop);
    };

    loop.run_until_complete(body);

    CHECK(EventLoop::current_or_null() == nullptr);
    CHECK_FALSE(loop.is_running());
  }

  // AF-004
  TEST_CASE("create_task schedules: the body starts in the next iteration") {
    EventLoop loop;
    auto body = [&]() -> Task<> {
      bool started = false;
      const Future<> task = siding::create_task(set(started));
      CHECK_FALSE(started);
      co_await siding::sleep(0s);
      CHECK(started);
      CHECK(task.done());
    };

    loop.run_until_complete(body);
  }

  TEST_CASE("a task can be created on a loop that does not run yet") {
    EventLoop loop;
    const Future<int> task = loop.create_task(value_of(9));
    CHECK_FALSE(task.done());

    loop.run_until_complete(value_of(0));

    CHECK(task.result() == 9);
  }

  // AF-006
  TEST_CASE("a task has the name it was given or one of its own, and a new one shows in reports") {
    EventLoop loop;
    const siding_test::Reports reports(loop);
    const Future<int> named = loop.create_task(value_of(1), {.name = "fetch"});
    const Future<int> first = loop.create_task(value_of(1));
    const Future<int> second = loop.create_task(value_of(1));

    CHECK(named.name() == "fetch");
    CHECK_FALSE(first.name().empty());
    CHECK_FALSE(second.name().empty());
    CHECK(first.name() != second.name());
    CHECK(first.name() == first.name());
    first.set_name("first");
    CHECK(first.name() == "first");
    loop.run_until_complete([&]() -> Task<> {
      siding::create_task([]() -> Task<> {
        siding::current_task().set_name("renamed");
        throw std::runtime_error("spam");
        co_return;
      });
      co_await first;
      co_await siding::yield();
    });

    CHECK(first.name() == "first");
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].source == "renamed");
  }

  // AF-005
  TEST_CASE("a task whose future is dropped runs to its end") {
    EventLoop loop;
    bool ended = false;
    auto body = [&]() -> Task<> {
      co_await siding::sleep(1ms);
      ended = true;
      loop.stop();
    };

    loop.create_task(body);
    loop.run_forever();

    CHECK(ended);
  }
}

}  // namespace
}  // namespace siding_test::event_loop_test
