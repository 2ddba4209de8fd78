// SPDX-License-Identifier: MIT
// What a function, a closure and its arguments need to be, how long they are kept, and when they
// go.
#include <siding/create_task.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/take.hpp>
#include <siding/task.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/held_executor.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::task_arguments_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::HeldExecutor;
using siding_test::VirtualLoop;

Task<int> value_of(Counted counted) {
  co_await siding::yield();
  co_return counted.value();
}
Task<int> fails(Counted) {
  co_await siding::yield();
  throw std::runtime_error("failed");
}

TEST_SUITE("closures that are coroutines") {
  // CC-001
  TEST_CASE("create_task keeps the captures of a lambda until its coroutine has ended") {
    VirtualLoop on;
    const auto start = [] {
      return siding::create_task([s = std::string(100, 'x')]() -> Task<std::size_t> {
        co_await siding::sleep(10ms);
        co_return s.size();
      });
    };

    const std::size_t size = on.loop.run_until_complete([&]() -> Task<std::size_t> {
      const Future<std::size_t> future = start();
      co_return co_await future;
    });

    CHECK(size == 100);
    CHECK(on.elapsed() == 10ms);
  }

  // CC-001
  TEST_CASE("EventLoop::create_task keeps them too") {
    VirtualLoop on;
    Counts counts;
    const auto future = on.loop.create_task([counted = Counted(counts, 7)]() -> Task<int> {
      co_await siding::sleep(10ms);
      co_return counted.value();
    });
    CHECK(counts.alive() == 1);

    on.loop.run_until_complete([&]() -> Task<> { co_await future; });

    CHECK(future.result() == 7);
    CHECK(counts.alive() == 0);
  }

  // CC-001
  TEST_CASE("run and run_until_complete keep them too") {
    VirtualLoop on;
    const auto body = [](int length) {
      return [s = std::string(static_cast<std::size_t>(length), 'x')]() -> Task<std::size_t> {
        co_await siding::yield();
        co_return s.size();
      };
    };

    CHECK(siding::run(body(100)) == 100);
    CHECK(on.loop.run_until_complete(body(101)) == 101);
  }

  TEST_CASE("the captures go when the coroutine has ended, although its future lives on") {
    Counts counts;
    siding::run([&]() -> Task<> {
      auto good = siding::create_task([counted = Counted(counts, 7)]() -> Task<int> {
        co_await siding::yield();
        co_return counted.value();
      });
      auto bad = siding::create_task([counted = Counted(counts)]() -> Task<> {
        co_await siding::yield();
        throw std::runtime_error("failed");
      });
      co_await siding::wait(good, bad);

      CHECK(counts.alive() == 0);
      CHECK(good.result() == 7);
      CHECK_THROWS_WITH(bad.result(), "failed");
    });
  }

  TEST_CASE("a lambda that holds what can only be moved may be a coroutine") {
    const int sum = siding::run([number = std::make_unique<int>(3)]() -> Task<int> {
      auto task = siding::create_task([other = std::make_unique<int>(4)]() -> Task<int> {
        co_await siding::yield();
        co_return *other;
      });
      const int got = co_await task;
      co_return *number + got;
    });

    CHECK(sum == 7);
  }
}

TEST_SUITE("callables and arguments that can only be moved") {
  // CC-002
  TEST_CASE("are taken by submit, run_in_executor, offload and to_thread") {
    siding::ThreadPool pool{{.max_workers = 1}};
    const auto add = [](std::unique_ptr<int> a, int b) { return *a + b; };
    auto submitted = pool.submit([n = std::make_unique<int>(1)] { return *n; });
    auto with_argument = pool.submit(add, std::make_unique<int>(2), 40);

    const int sum = siding::run([&]() -> Task<int> {
      auto hot = siding::run_in_executor(pool, [n = std::make_unique<int>(3)] { return *n; });
      auto lazy = siding::offload(pool, [n = std::make_unique<int>(4)] { return *n; });
      auto in_thread = siding::to_thread([n = std::make_unique<int>(5)] { return *n; });
      const int of_hot = co_await hot;
      const int of_lazy = co_await lazy;
      const int of_thread = co_await in_thread;
      const int of_argument = co_await siding::to_thread(add, std::make_unique<int>(6), 0);
      co_return of_hot + of_lazy + of_thread + of_argument;
    });

    CHECK(submitted.get() == 1);
    CHECK(with_argument.get() == 42);
    CHECK(sum == 3 + 4 + 5 + 6);
  }

  // CC-002
  TEST_CASE("are taken by the loop's callbacks and by done-callbacks, on a loop and without") {
    VirtualLoop on;
    std::vector<int> called;
    on.loop.call_soon([n = std::make_unique<int>(1), &called] { called.push_back(*n); });
    on.loop.call_soon_threadsafe([n = std::make_unique<int>(2), &called] { called.push_back(*n); });
    on.loop.call_later(1s, [n = std::make_unique<int>(3), &called] { called.push_back(*n); });
    on.loop.call_at(on.start + 2s,
                    [n = std::make_unique<int>(4), &called] { called.push_back(*n); });
    on.loop.run_until_complete([&]() -> Task<> {
      auto task = siding::create_task(siding::sleep(3s));
      task.add_done_callback([n = std::make_unique<int>(5), &called] { called.push_back(*n); });
      co_await task;
      co_await siding::yield();
    });
    siding::ThreadPool pool{{.max_workers = 1}};
    const Future<> future = pool.submit([] {});
    future.get();
    future.add_done_callback(
        [n = std::make_unique<int>(6), &called](const Future<>&) { called.push_back(*n); });

    CHECK(called == std::vector{1, 2, 3, 4, 5, 6});
  }

  // CC-002
  TEST_CASE("need no copy anywhere on their way, and neither does the result") {
    Counts counts;
    siding::ThreadPool pool{{.max_workers = 1}};
    const auto pass = [](Counted counted) { return counted; };
    siding::run([&]() -> Task<> {
      Counted named(counts, 3);
      Future<Counted> hot = siding::run_in_executor(pool, pass, Counted(counts, 1));
      const Counted of_hot = co_await std::move(hot);
      auto lazy = siding::offload(pool, pass, Counted(counts, 2));
      const Counted of_lazy = co_await lazy;
      const Counted of_name = co_await siding::to_thread(pass, siding::take(named));

      CHECK(of_hot.value() == 1);
      CHECK(of_lazy.value() == 2);
      CHECK(of_name.value() == 3);
      CHECK(named.value() == -1);
    });
    const Counted of_submit = pool.submit(pass, Counted(counts, 4)).get();

    CHECK(of_submit.value() == 4);
    CHECK(counts.copied == 0);
  }
}

TEST_SUITE("arguments") {
  TEST_CASE("of a task go when it ends, by a value or an error, although its future lives on") {
    Counts counts;
    siding::run([&]() -> Task<> {
      std::vector<Future<int>> futures;
      futures.push_back(siding::create_task(value_of(Counted(counts, 7))));
      futures.push_back(siding::create_task(fails(Counted(counts))));
      const auto outcome = co_await siding::wait(futures);

      CHECK(counts.alive() == 0);
      CHECK(outcome.done[0].result() == 7);
      CHECK_THROWS_WITH(outcome.done[1].result(), "failed");
    });
  }

  TEST_CASE("of a task go when it is cancelled, before its first step and later") {
    Counts counts;
    siding::run([&]() -> Task<> {
      auto unstarted = siding::create_task(value_of(Counted(counts)));
      unstarted.cancel();
      const auto first = co_await siding::wait(unstarted);
      CHECK(unstarted.cancelled());
      CHECK(counts.alive() == 0);

      const auto sleeper = [](Counted) -> Task<> { co_await siding::sleep(siding::Limit()); };
      auto started = siding::create_task(sleeper(Counted(counts)));
      co_await siding::yield();
      started.cancel();
      const auto second = co_await siding::wait(started);
      CHECK(started.cancelled());
      CHECK(counts.alive() == 0);
    });
  }

  TEST_CASE("of a call go when it ends, by a value or an error, although its future lives on") {
    Counts counts;
    siding::ThreadPool pool{{.max_workers = 1}};
    const auto value = [](const Counted& counted) { return counted.value(); };
    const auto fail = [](const Counted&) -> int { throw std::runtime_error("failed"); };

    auto good = pool.submit(value, Counted(counts, 7));
    auto bad = pool.submit(fail, Counted(counts));
    auto closure = pool.submit([counted = Counted(counts, 8)] { return counted.value(); });
    CHECK(good.get() == 7);
    CHECK_THROWS_WITH(bad.get(), "failed");
    CHECK(closure.get() == 8);
    CHECK(counts.alive() == 0);

    siding::run([&]() -> Task<> {
      auto hot = siding::run_in_executor(pool, value, Counted(counts, 9));
      const int got = co_await hot;
      CHECK(got == 9);
      CHECK(counts.alive() == 0);
    });
  }

  TEST_CASE("of a queued call go when it is cancelled, although it is still in its queue") {
    Counts counts;
    HeldExecutor executor;
    auto future = executor.submit([counted = Counted(counts)](const Counted&) {}, Counted(counts));
    CHECK(counts.alive() == 2);

    CHECK(future.cancel());

    CHECK(counts.alive() == 0);
    executor.take().run();
  }

  TEST_CASE("of a call that was refused go at once") {
    Counts counts;
    siding::ThreadPool pool{{.max_workers = 1}};
    pool.shutdown();

    CHECK_THROWS(pool.submit([counted = Counted(counts)](const Counted&) {}, Counted(counts)));

    CHECK(counts.made > 0);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("of callbacks go when they have run, although what they were added to lives on") {
    Counts counts;
    VirtualLoop on;
    const auto handle = on.loop.call_soon([counted = Counted(counts)] {});
    on.loop.run_until_complete([&]() -> Task<> {
      auto future = siding::create_task(siding::yield());
      future.add_done_callback([counted = Counted(counts)] {});
      CHECK(counts.alive() == 1);
      co_await future;
      co_await siding::yield();

      CHECK(future.done());
      CHECK(counts.alive() == 0);
    });
    CHECK_FALSE(handle.cancelled());
  }

  TEST_CASE("are copied when the coroutine or the call is made, as std::thread does") {
    int number = 5;
    siding::run([&]() -> Task<> {
      const auto body = [](int copied, int& referred) -> Task<std::tuple<int, int>> {
        co_return std::tuple(copied, referred);
      };
      auto task = body(number, number);
      auto call =
          siding::to_thread([](int copied, int& referred) { return std::tuple(copied, referred); },
                            number, std::ref(number));
      number = 6;

      const std::tuple<int, int> of_task = co_await task;
      const std::tuple<int, int> of_call = co_await call;

      CHECK(of_task == std::tuple(5, 6));
      CHECK(of_call == std::tuple(5, 6));
    });
  }
}

}  // namespace
}  // namespace siding_test::task_arguments_test
