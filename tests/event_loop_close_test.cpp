// SPDX-License-Identifier: MIT
// The end of a loop: what closing it does to what is scheduled.
#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/log_capture.hpp"
#include "support/thread_state.hpp"

namespace siding_test::event_loop_close_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Future;
using siding::Limit;
using siding::LoopClosed;
using siding::Task;
using siding::ThreadPool;
using siding::TimerHandle;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::LeakGuard;

Task<int> value_of(int value) {
  co_await siding::yield();
  co_return value;
}

// Lets what is scheduled take its first steps.
void run_a_little(EventLoop& loop) { loop.run_until_complete(value_of(0)); }

/// Writes its name into a log when it is destroyed.
struct Local {
  std::string& log;
  char name;
  ~Local() { log += name; }
};

Task<> wait_for_ever(std::string& log) {
  const Local second{log, '2'};
  const Local third{log, '3'};
  co_await siding::sleep(Limit());
}

Task<int> wait_in_a_child(std::string& log) {
  const Local first{log, '1'};
  co_await wait_for_ever(log);
  co_return 0;
}

TEST_SUITE("EventLoop closing") {
  TEST_CASE("a closed loop refuses everything, and says what to do") {
    EventLoop loop;
    Counts counts;
    bool called = false;
    auto make_call = [&] { return [&called, kept = Counted(counts)] { called = true; }; };

    loop.close();

    CHECK(loop.is_closed());
    const auto text = [](const char* function) {
      return std::string(function) + ": this event loop is closed; make a new one";
    };
    CHECK_THROWS_WITH_AS(loop.call_soon(make_call()), text("call_soon").c_str(), LoopClosed);
    CHECK_THROWS_WITH_AS(loop.call_later(1s, make_call()), text("call_later").c_str(), LoopClosed);
    CHECK_THROWS_WITH_AS(loop.call_at(loop.time(), make_call()), text("call_at").c_str(),
                         LoopClosed);
    CHECK_THROWS_WITH_AS(loop.create_task(value_of(1)), text("create_task").c_str(), LoopClosed);
    CHECK_THROWS_WITH_AS(loop.run_until_complete(value_of(1)), text("run_until_complete").c_str(),
                         LoopClosed);
    CHECK_THROWS_WITH_AS(loop.run_forever(), text("run_forever").c_str(), LoopClosed);
    CHECK_THROWS_WITH_AS(static_cast<void>(loop.set_default_executor(nullptr)),
                         text("set_default_executor").c_str(), LoopClosed);
    CHECK_FALSE(called);
    CHECK(counts.alive() == 0);
    loop.stop();
    loop.close();
    CHECK(loop.counters().timers == 0);
  }

  // LP-008
  TEST_CASE("call_soon_threadsafe on a closed loop throws, and destroys the function") {
    EventLoop loop;
    Counts counts;
    bool called = false;
    loop.close();

    std::thread([&] {
      CHECK_THROWS_WITH_AS(
          loop.call_soon_threadsafe([&called, kept = Counted(counts)] { called = true; }),
          "call_soon_threadsafe: this event loop is closed; make a new one", LoopClosed);
    }).join();

    CHECK_FALSE(called);
    CHECK(counts.made > 0);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("closing destroys the functions of calls that were not made") {
    const LeakGuard guard;
    Counts counts;
    int calls = 0;
    std::optional<TimerHandle> handle;
    {
      EventLoop loop;
      auto call = [&calls, kept = Counted(counts)] { ++calls; };
      loop.call_soon(call);
      loop.call_later(1h, call);
      loop.call_later(Limit(), call);
      handle = loop.call_at(loop.time(), call);
      std::thread([&] { loop.call_soon_threadsafe(call); }).join();

      loop.close();

      CHECK(counts.alive() == 1);  // the one that was copied from
      CHECK(loop.counters().timers == 0);
      CHECK(handle->cancelled());
    }
    CHECK(calls == 0);
  }

  TEST_CASE("closing destroys the frames of tasks that wait, and ends their futures") {
    const LeakGuard guard;
    std::string log;
    EventLoop loop;
    const Future<int> task = loop.create_task(wait_in_a_child(log));
    const Future<int> unstarted = loop.create_task(value_of(1));
    loop.stop();
    loop.run_forever();
    const Future<int> never_run = loop.create_task(value_of(1));

    loop.close();

    CHECK(log == "321");
    for (const Future<int>& future : {task, unstarted, never_run}) {
      CHECK(future.done());
      CHECK_FALSE(future.cancelled());
      CHECK_THROWS_WITH_AS(future.result(), "the loop was closed while this task was waiting; wait for the task "
                             "before the loop is closed",
                           LoopClosed);
      CHECK_FALSE(future.cancel());
    }
  }

  TEST_CASE("a task that waits for another one, a future, a timer or a turn can be closed under") {
    const LeakGuard guard;
    Counts counts;
    siding::Promise<int> promise;
    {
      EventLoop loop;
      auto waits_for = [&](Future<int> future) -> Task<> {
        const Counted local(counts);
        co_await future;
      };
      auto sleeps = [&](Limit length) -> Task<> {
        const Counted local(counts);
        for (;;)
          co_await siding::sleep(length);
      };
      const Future<int> first = loop.create_task([&]() -> Task<int> {
        const Counted local(counts);
        co_await sleeps(Limit());
        co_return 0;
      });
      loop.create_task(waits_for(first));
      loop.create_task(waits_for(promise.future()));
      loop.create_task(sleeps(0s));
      loop.create_task(sleeps(1h));
      run_a_little(loop);
      REQUIRE(counts.alive() == 6);
    }
    CHECK(counts.alive() == 0);
    promise.set_value(1);
  }

  TEST_CASE("a value that is on its way to a task when its loop is closed is destroyed") {
    Counts counts;
    siding::Promise<Counted> promise;
    {
      EventLoop loop;
      loop.create_task([future = promise.future()]() mutable -> Task<> {
        const Counted value = co_await std::move(future);
      });
      run_a_little(loop);

      std::thread([&] { promise.set_value(counts); }).join();

      CHECK(counts.alive() == 1);
      const siding::Promise<Counted> gone = std::move(promise);
    }
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("closing waits until a worker has returned from a call that a task awaits") {
    const LeakGuard guard;
    std::atomic<bool> returned = false;
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    EventLoop loop;
    auto blocks = [&returned, kept = Counted(counts), key = gate.key()] {
      pass(key);
      returned = true;
      return 1;
    };
    auto awaits = [&]() -> Task<int> { co_return co_await siding::offload(pool, blocks); };
    const Future<int> running = loop.create_task(awaits);
    const Future<int> queued = loop.create_task(awaits);
    run_a_little(loop);
    gate.wait_for_arrivals(1);
    std::thread opens([&] {
      while (!loop.is_closed())
        std::this_thread::yield();
      gate.open();
    });

    loop.close();

    CHECK(returned);
    CHECK_THROWS_AS(running.result(), LoopClosed);
    CHECK_THROWS_AS(queued.result(), LoopClosed);
    opens.join();
    pool.shutdown();
    CHECK(gate.arrivals() == 1);
    CHECK(counts.alive() == 1);
  }

  TEST_CASE("closing does not wait for calls that nobody awaits, whose results are then dropped") {
    const LeakGuard guard;
    Counts counts;
    const siding_test::LogCapture log;
    {
      ThreadPool pool{{.max_workers = 2}};
      Gate gate;
      {
        EventLoop loop;
        auto gives = [](siding_test::GateKey key, Counts* made) {
          pass(key);
          return Counted(*made);
        };
        auto throws = [](siding_test::GateKey key) {
          pass(key);
          throw std::runtime_error("late");
        };
        auto body = [&]() -> Task<> {
          siding::run_in_executor(pool, gives, gate.key(), &counts);
          siding::run_in_executor(pool, throws, gate.key());
          co_return;
        };
        loop.run_until_complete(body);
        gate.wait_for_arrivals(2);
      }
      gate.open();
    }
    CHECK(counts.made > 0);
    CHECK(counts.alive() == 0);
    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find("std::runtime_error: late") != std::string::npos);
  }

  TEST_CASE("a thread that blocks in get() on a task's future hears that the loop was closed") {
    EventLoop loop;
    const Future<int> task = loop.create_task([]() -> Task<int> {
      co_await siding::sleep(Limit());
      co_return 1;
    });
    run_a_little(loop);
    std::atomic<pid_t> id{0};
    std::thread other([&] {
      id = ::gettid();
      CHECK_THROWS_AS(task.get(), LoopClosed);
    });
    CHECK(siding_test::becomes_true([&] { return siding_test::is_asleep(id); }));

    loop.close();

    other.join();
  }

  TEST_CASE("done-callbacks that were registered on a closed loop are destroyed unrun") {
    Counts counts;
    bool called = false;
    bool called_elsewhere = false;
    siding::Promise<int> promise;
    EventLoop loop;
    const Future<> task = loop.create_task([]() -> Task<> { co_await siding::sleep(Limit()); });
    auto registers = [&]() -> Task<> {
      task.add_done_callback([&called, kept = Counted(counts)] { called = true; });
      promise.future().add_done_callback([&called, kept = Counted(counts)] { called = true; });
      co_return;
    };
    loop.run_until_complete(registers);
    task.add_done_callback([&](const Future<>& future) {
      CHECK_THROWS_AS(future.result(), LoopClosed);
      called_elsewhere = true;
    });

    loop.close();
    promise.set_value(1);

    CHECK_FALSE(called);
    CHECK(counts.alive() == 0);
    CHECK(called_elsewhere);  // registered outside the loop: run by who completes
  }

  TEST_CASE("a frame that is destroyed with its loop may cancel other tasks") {
    EventLoop loop;
    struct Canceller {
      Future<> other;
      ~Canceller() { other.cancel(); }
    };
    auto waits = []() -> Task<> { co_await siding::sleep(Limit()); };
    const Future<> before = loop.create_task(waits);
    auto cancels = [](Future<> other) -> Task<> {
      const Canceller canceller{other};
      co_await siding::sleep(Limit());
    };
    loop.create_task(cancels(before));
    const Future<> after = loop.create_task(waits);
    loop.create_task(cancels(after));
    run_a_little(loop);

    loop.close();

    CHECK_THROWS_AS(before.result(), LoopClosed);
    CHECK_THROWS_AS(after.result(), LoopClosed);
  }

  TEST_CASE("a running loop cannot be closed from inside") {
    EventLoop loop;
    auto body = [&]() -> Task<int> {
      CHECK_THROWS_WITH_AS(loop.close(), "close: the event loop is running; stop() it first",
                           std::logic_error);
      co_await siding::yield();
      co_return 4;
    };

    CHECK(loop.run_until_complete(body) == 4);
    CHECK_FALSE(loop.is_closed());
  }

  TEST_CASE("a loop can be closed, with tasks that wait, inside a task of another loop") {
    Counts counts;
    auto inner = std::make_unique<EventLoop>();
    const Future<> task = inner->create_task([&]() -> Task<> {
      const Counted local(counts);
      co_await siding::sleep(Limit());
    });
    run_a_little(*inner);
    EventLoop outer;
    auto body = [&]() -> Task<> {
      inner.reset();
      CHECK(counts.alive() == 0);
      co_await siding::yield();
    };

    outer.run_until_complete(body);

    CHECK_THROWS_AS(task.result(), LoopClosed);
  }
}

}  // namespace
}  // namespace siding_test::event_loop_close_test
