// SPDX-License-Identifier: MIT
#include <siding/event.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::event_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Event;
using siding::Future;
using siding::InvalidStateError;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

Task<> waits(Event& event, std::vector<int>& log, int name) {
  co_await event.wait();
  log.push_back(name);
}

std::vector<Future<>> three(Event& event, std::vector<int>& log) {
  std::vector<Future<>> tasks;
  for (int i = 1; i <= 3; ++i)
    tasks.push_back(siding::create_task(waits(event, log, i)));
  return tasks;
}

TEST_SUITE("Event") {
  // SY-003
  TEST_CASE("set wakes all that wait, in order, and a later wait does not suspend") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Event event;
      std::vector<int> log;
      const auto tasks = three(event, log);
      co_await turns(2);
      CHECK(log.empty());

      event.set();
      CHECK(event.is_set());
      co_await turns(1);
      CHECK(log == std::vector{1, 2, 3});

      const auto before = virtual_loop.loop.counters().iterations;
      co_await event.wait();
      CHECK(virtual_loop.loop.counters().iterations == before);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("who was woken goes on although the event is cleared again") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Event event;
      std::vector<int> log;
      const auto tasks = three(event, log);
      co_await turns(1);

      event.set();
      event.clear();
      const Future<> late = siding::create_task(waits(event, log, 4));
      co_await turns(3);

      CHECK(log == std::vector{1, 2, 3});
      CHECK_FALSE(late.done());
      event.set();
      co_await late;
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a wait that is cancelled leaves the others waiting") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Event event;
      std::vector<int> log;
      const auto tasks = three(event, log);
      co_await turns(1);

      tasks[1].cancel();
      CHECK_THROWS_AS(co_await tasks[1], Cancelled);
      event.set();
      co_await tasks[0];
      co_await tasks[2];

      CHECK(log == std::vector{1, 3});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a request that comes after the event is thrown at the next suspension point") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Event event;
      bool passed = false;
      const Future<> task = siding::create_task([&]() -> Task<> {
        co_await event.wait();
        passed = true;
        co_await siding::yield();
      });
      co_await turns(1);

      event.set();
      task.cancel();
      CHECK_THROWS_AS(co_await task, Cancelled);

      CHECK(passed);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("wait_for limits the wait") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Event event;
      CHECK_THROWS_AS(co_await siding::wait_for(event.wait(), 1s), siding::TimeoutError);
      CHECK(virtual_loop.elapsed() == 1s);
      event.set();
      co_await siding::wait_for(event.wait(), 1s);
      CHECK(virtual_loop.elapsed() == 1s);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("it may be destroyed as soon as it was set") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Event> event(std::in_place);
      std::vector<int> log;
      const auto tasks = three(*event, log);
      co_await turns(1);

      event->set();
      event.reset();
      co_await turns(1);

      CHECK(log == std::vector{1, 2, 3});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("destroying it unset ends the waits with InvalidStateError") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Event> event(std::in_place);
      std::vector<int> log;
      const auto tasks = three(*event, log);
      co_await turns(1);

      event.reset();

      const char* text =
          "Event::wait: the object was destroyed while this task waited for it; let it outlive its "
          "tasks";
      CHECK_THROWS_WITH_AS(co_await tasks[0], text, InvalidStateError);
      CHECK_THROWS_AS(co_await tasks[1], InvalidStateError);
      CHECK_THROWS_AS(co_await tasks[2], InvalidStateError);
      CHECK(log.empty());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // SY-012
  TEST_CASE("it may be made before any loop runs, and refuses to serve two loops") {
    static Event event;
    VirtualLoop one;
    VirtualLoop two;
    std::vector<int> log;
    auto wait_and_set = [&]() -> Task<> {
      const auto tasks = three(event, log);
      co_await turns(1);
      event.set();
      co_await turns(1);
      event.clear();
    };

    one.loop.run_until_complete(wait_and_set);

    CHECK(log == std::vector{1, 2, 3});
    const char* refusal =
        "Event::wait: this object serves another event loop than the one of this task; make one "
        "for each loop";
    auto wait_elsewhere = [&]() -> Task<> {
      CHECK_THROWS_WITH_AS(co_await event.wait(), refusal, InvalidStateError);
    };
    two.loop.run_until_complete(wait_elsewhere);
  }

  TEST_CASE("setting it on another thread while tasks wait is an error, and posting that is none") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Event event;
      std::vector<int> log;
      const auto tasks = three(event, log);
      co_await turns(1);

      std::thread([&] { CHECK_THROWS_AS(event.set(), std::logic_error); }).join();
      CHECK_FALSE(event.is_set());
      std::thread([&] {
        virtual_loop.loop.call_soon_threadsafe([&] { event.set(); });
      }).join();
      co_await tasks[2];

      CHECK(log == std::vector{1, 2, 3});
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a loop may be closed while tasks wait for it, or were woken") {
    Event event;
    std::vector<int> log;
    bool set = false;
    SUBCASE("waiting") {}
    SUBCASE("woken") { set = true; }
    {
      VirtualLoop virtual_loop;
      auto body = [&]() -> Task<> {
        three(event, log);
        co_await turns(1);
      };
      virtual_loop.loop.run_until_complete(body);
      if (set) event.set();
    }
    CHECK(log.empty());
    event.set();  // nobody is left
  }
}

}  // namespace
}  // namespace siding_test::event_test
