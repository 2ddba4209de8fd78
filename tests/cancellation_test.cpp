// SPDX-License-Identifier: MIT
// Cancelling tasks: where a request is thrown, and what it carries.
#include <siding/cancellation.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/promise.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/counted.hpp"
#include "support/limits.hpp"
#include "support/sleep_watch.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::cancellation_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Clock;
using siding::EventLoop;
using siding::Future;
using siding::Limit;
using siding::Promise;
using siding::Task;
using siding_test::VirtualLoop;

Task<> sleeps(Limit length) { co_await siding::sleep(length); }

// Awaits `future` and says how that ended.
Task<std::string> ending_of(siding::AnyFuture future) {
  try {
    co_await future;
  } catch (const Cancelled& cancelled) {
    co_return "cancelled:" + cancelled.reason();
  } catch (const std::exception& error) {
    co_return std::string("failed:") + error.what();
  }
  co_return "value";
}

/// Writes its name into a log when it is destroyed, and on which thread that was.
struct Local {
  std::string& log;
  char name;
  std::vector<std::thread::id>& threads;
  ~Local() {
    log += name;
    threads.push_back(std::this_thread::get_id());
  }
};

TEST_SUITE("Cancellation") {
  // TC-001
  TEST_CASE("cancel throws Cancelled at the task's await, and the task ends cancelled") {
    VirtualLoop virtual_loop;
    bool went_on = false;
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task([&]() -> Task<> {
        co_await siding::sleep(1h);
        went_on = true;
      });
      co_await siding::yield();
      CHECK(task.running());

      CHECK(task.cancel());
      CHECK_FALSE(task.done());  // the task has its turn first
      CHECK_THROWS_AS(co_await task, Cancelled);

      CHECK(task.done());
      CHECK(task.cancelled());
      CHECK_FALSE(task.running());
      CHECK_FALSE(task.cancel());
      CHECK_THROWS_AS(task.result(), Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(went_on);
    CHECK(virtual_loop.elapsed() == 0s);
  }

  TEST_CASE("a task that is cancelled before its first step is never entered") {
    VirtualLoop virtual_loop;
    siding_test::Counts counts;
    bool entered = false;
    auto work = [](bool& flag, siding_test::Counted) -> Task<> {
      flag = true;
      co_return;
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(work(entered, siding_test::Counted(counts)));
      CHECK(task.cancel({.reason = "too late"}));
      const std::string ending = co_await ending_of(task);
      CHECK(ending == "cancelled:too late");
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(entered);
    CHECK(counts.alive() == 0);
  }

  // TC-002
  TEST_CASE("a task may catch its cancellation and return") {
    VirtualLoop virtual_loop;
    auto catches = []() -> Task<int> {
      try {
        co_await siding::sleep(10s);
      } catch (const Cancelled&) {
        co_return 42;
      }
      co_return 0;
    };
    auto body = [&]() -> Task<> {
      const Future<int> task = siding::create_task(catches);
      co_await siding::yield();

      CHECK(task.cancel());
      const int value = co_await task;

      CHECK(value == 42);
      CHECK_FALSE(task.cancelled());
      CHECK(task.done());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a cancellation is thrown once: the task that caught it may go on waiting") {
    VirtualLoop virtual_loop;
    int caught = 0;
    auto catches = [&]() -> Task<int> {
      for (int round = 0; round < 3; ++round) {
        try {
          co_await siding::sleep(10s);
        } catch (const Cancelled&) {
          ++caught;
        }
      }
      co_return caught;
    };
    auto body = [&]() -> Task<> {
      const Future<int> task = siding::create_task(catches);
      co_await siding::yield();
      task.cancel();
      const int value = co_await task;
      CHECK(value == 1);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(virtual_loop.elapsed() == 20s);
  }

  // TC-003
  TEST_CASE("a task that cancels itself is cancelled at its next await") {
    VirtualLoop virtual_loop;
    bool went_on_at_once = false;
    bool reached = false;
    auto cancels_itself = [&]() -> Task<> {
      CHECK(siding::current_task().cancel());
      went_on_at_once = true;
      co_await siding::sleep(100s);
      reached = true;
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(cancels_itself);
      const auto before = virtual_loop.loop.counters().iterations;
      const std::string ending = co_await ending_of(task);
      CHECK(ending == "cancelled:");
      CHECK(virtual_loop.loop.counters().iterations - before <= 3);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(went_on_at_once);
    CHECK_FALSE(reached);
    CHECK(virtual_loop.elapsed() == 0s);
  }

  TEST_CASE("a task that cancels itself and returns without another await ends cancelled") {
    VirtualLoop virtual_loop;
    auto body = []() -> Task<> {
      const Future<int> task = siding::create_task([]() -> Task<int> {
        siding::current_task().cancel();
        co_return 1;
      });
      const std::string ending = co_await ending_of(task);
      CHECK(ending == "cancelled:");
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-004
  TEST_CASE("a cancellation reaches the innermost future, and comes back outwards") {
    VirtualLoop virtual_loop;
    std::string order;
    Promise<int> promise;
    auto note = [&](char name) {
      return [&order, name](const siding::AnyFuture& future) {
        if (future.cancelled()) order += name;
      };
    };
    auto body = [&]() -> Task<> {
      const Future<int> innermost = promise.future();
      const Future<int> inner =
          siding::create_task([&]() -> Task<int> { co_return co_await innermost; });
      const Future<int> outer =
          siding::create_task([&]() -> Task<int> { co_return co_await inner; });
      innermost.add_done_callback(note('f'));
      inner.add_done_callback(note('i'));
      outer.add_done_callback(note('o'));
      co_await siding::yield();
      co_await siding::yield();

      CHECK(outer.cancel());
      CHECK(innermost.cancelled());
      CHECK_FALSE(inner.done());
      co_await siding::sleep(1s);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(order == "fio");
    CHECK_FALSE(promise.start());
  }

  TEST_CASE("a cancellation goes through awaited children to the innermost one") {
    VirtualLoop virtual_loop;
    std::string path;
    auto innermost = [&]() -> Task<> {
      try {
        co_await siding::sleep(1h);
      } catch (const Cancelled&) {
        path += 'c';
        throw;
      }
    };
    auto middle = [&]() -> Task<> {
      try {
        co_await innermost();
      } catch (const Cancelled&) {
        path += 'b';
        throw;
      }
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(middle);
      co_await siding::yield();
      task.cancel();
      const std::string ending = co_await ending_of(task);
      CHECK(ending == "cancelled:");
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(path == "cb");
  }

  // TC-005
  TEST_CASE("locals are destroyed in reverse order, innermost first, on the loop's thread") {
    std::string log;
    std::vector<std::thread::id> threads;
    Future<> task;
    auto inner = [&]() -> Task<> {
      const Local second{log, '2', threads};
      const Local third{log, '3', threads};
      co_await siding::sleep(Limit());
    };
    auto outer = [&]() -> Task<> {
      const Local first{log, '1', threads};
      co_await inner();
    };
    EventLoop loop;
    auto body = [&]() -> Task<std::string> {
      task = siding::create_task(outer);
      std::thread other([&, watch = siding_test::SleepWatch()] {
        watch.wait_until_asleep();
        CHECK(task.cancel());
      });
      const std::string ending = co_await ending_of(task);
      other.join();
      co_return ending;
    };

    CHECK(loop.run_until_complete(body) == "cancelled:");

    CHECK(log == "321");
    for (const std::thread::id thread : threads)
      CHECK(thread == std::this_thread::get_id());
  }

  // TC-010
  TEST_CASE("Cancelled is no std::exception: handlers of ordinary errors let it through") {
    static_assert(!std::is_base_of_v<std::exception, Cancelled>);
    VirtualLoop virtual_loop;
    bool swallowed = false;
    auto handles_errors = [&]() -> Task<> {
      try {
        co_await siding::sleep(1h);
      } catch (const std::exception&) {
        swallowed = true;
      }
    };
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task(handles_errors);
      co_await siding::yield();
      task.cancel();
      const std::string ending = co_await ending_of(task);
      CHECK(ending == "cancelled:");
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(swallowed);
  }

  // TC-011
  TEST_CASE("another thread can cancel a task whose loop is asleep") {
    auto best = Clock::duration::max();
    for (int round = 0; round < 20; ++round) {
      EventLoop loop;
      siding::TimePoint requested{};
      auto body = [&]() -> Task<std::string> {
        const Future<> task = siding::create_task(sleeps(60s));
        std::thread other([&requested, task, watch = siding_test::SleepWatch()] {
          watch.wait_until_asleep();
          requested = Clock::now();
          CHECK(task.cancel({.reason = "from another thread"}));
        });
        const std::string ending = co_await ending_of(task);
        const auto ended = Clock::now();
        other.join();
        best = std::min(best, ended - requested);
        CHECK(ended - requested < 30s);
        CHECK_FALSE(task.cancel());
        co_return ending;
      };

      CHECK(loop.run_until_complete(body) == "cancelled:from another thread");
    }
    CHECK(best < 50ms * siding_test::slowness);
  }

  TEST_CASE("a cancel from another thread that comes after the end of the task is false") {
    VirtualLoop virtual_loop;
    const Future<> task = virtual_loop.loop.create_task(sleeps(1s));
    virtual_loop.loop.run_until_complete(sleeps(2s));

    std::thread([&] { CHECK_FALSE(task.cancel()); }).join();

    CHECK_FALSE(task.cancelled());
  }

  // TC-012
  TEST_CASE("the reason can be read where the cancellation is caught, and by outer awaiters") {
    VirtualLoop virtual_loop;
    std::string inside;
    auto reads = [&]() -> Task<> {
      try {
        co_await siding::sleep(1h);
      } catch (const Cancelled& cancelled) {
        inside = cancelled.reason();
        throw;
      }
    };
    auto body = [&]() -> Task<> {
      const Future<> inner = siding::create_task(reads);
      const Future<> outer = siding::create_task([&]() -> Task<> { co_await inner; });
      co_await siding::yield();
      co_await siding::yield();
      CHECK(outer.cancel({.reason = "shutting down"}));
      const std::string ending = co_await ending_of(outer);
      CHECK(ending == "cancelled:shutting down");
      const std::string inner_ending = co_await ending_of(inner);
      CHECK(inner_ending == "cancelled:shutting down");
      CHECK_THROWS_AS(std::rethrow_exception(inner.exception()), Cancelled);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(inside == "shutting down");
  }
}

}  // namespace
}  // namespace siding_test::cancellation_test
