// SPDX-License-Identifier: MIT
#include <siding/as_completed.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/held_executor.hpp"
#include "support/limits.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::as_completed_test {
namespace {

using namespace std::chrono_literals;
using siding::AnyFuture;
using siding::as_completed;
using siding::create_task;
using siding::Future;
using siding::Promise;
using siding::Task;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::pass_with;
using siding_test::VirtualLoop;

using Futures = std::vector<Future<int>>;

Task<int> gives_after(siding::Limit length, int value) {
  co_await siding::sleep(length);
  co_return value;
}

}  // namespace

TEST_SUITE("as_completed on a loop") {
  // WT-018, WT-019
  TEST_CASE("gives each future once, in the order of completion, as the handle that was given") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([]() -> Task<> {
      const Future<int> a = create_task(gives_after(20ms, 1));
      const Future<int> b = create_task(gives_after(30ms, 2));
      const Future<int> c = create_task(gives_after(10ms, 3));
      const std::unordered_map<AnyFuture, char> labels{{a, 'a'}, {b, 'b'}, {c, 'c'}};

      auto steps = as_completed(Futures{a, b, c, a});
      CHECK(steps.size() == 3);
      std::string order;
      int sum = 0;
      for (auto next : steps) {
        const Future<int> future = co_await next;
        order += labels.at(future);
        sum += future.result();
      }

      CHECK(order == "cab");
      CHECK(sum == 6);
    });
  }

  TEST_CASE("what is done at the call comes first, in the order given") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([]() -> Task<> {
      const Future<int> slow = create_task(gives_after(10ms, 1));
      const Future<int> second = create_task(gives_after(2ms, 2));
      const Future<int> third = create_task(gives_after(1ms, 3));
      co_await siding::sleep(5ms);

      std::vector<int> values;
      for (auto next : as_completed(Futures{slow, second, third})) {
        const Future<int> future = co_await next;
        values.push_back(future.result());
      }

      CHECK(values == std::vector{2, 3, 1});
    });
  }

  TEST_CASE("errors stay in the futures, and different types come as AnyFuture") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([]() -> Task<> {
      Promise<std::string> failed;
      failed.set_exception(std::make_exception_ptr(std::out_of_range("far")));
      const Future<std::string> failure = failed.future();
      const Future<int> value = create_task(gives_after(1ms, 1));

      std::vector<AnyFuture> order;
      for (auto next : as_completed(value, failure)) {
        order.push_back(co_await next);
      }

      CHECK(order == std::vector<AnyFuture>{failure, value});
      CHECK_THROWS_AS(failure.result(), std::out_of_range);
    });
  }

  // WT-020
  TEST_CASE("with a timeout it gives what is ready, then throws, and cancels nothing") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> a = create_task(gives_after(10ms, 1));
      const Future<int> b = create_task(gives_after(10s, 2));

      auto steps = as_completed(Futures{a, b}, 50ms);
      auto step = steps.begin();
      auto first = *step;
      const Future<int> done = co_await first;
      CHECK(done.result() == 1);
      auto second = *++step;
      bool late = false;
      try {
        co_await second;
      } catch (const siding::TimeoutError&) {
        late = true;
      }

      CHECK(late);
      CHECK(virtual_loop.elapsed() == 50ms);
      CHECK_FALSE(b.done());
      CHECK(b.cancelling() == 0);
      CHECK(++step == steps.end());
    });
  }

  TEST_CASE("cancelling a task that waits for a step ends the wait, and the futures go on") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([]() -> Task<> {
      const Future<int> slow = create_task(gives_after(1s, 1));
      auto steps = as_completed(Futures{slow});
      const Future<void> waiter = create_task([&]() -> Task<> {
        auto next = *steps.begin();
        co_await next;
      });
      co_await siding::sleep(1ms);

      waiter.cancel();
      bool cancelled = false;
      try {
        co_await waiter;
      } catch (const siding::Cancelled&) {
        cancelled = true;
      }

      CHECK(cancelled);
      CHECK_FALSE(slow.done());
      // The step is spent, but no future was taken with it.
      auto again = *steps.begin();
      const Future<int> future = co_await again;
      CHECK(future == slow);
    });
  }

  TEST_CASE("gives calls on executors, and a virtual clock does not jump over them") {
    VirtualLoop virtual_loop;
    siding::ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> gated = siding::run_in_executor(pool, pass_with, gate.key(), 1);
      const Future<int> sleeping = create_task(gives_after(1h, 2));
      gate.wait_for_arrivals(1);
      std::thread opener([&gate] { gate.open(); });

      std::vector<int> values;
      for (auto next : as_completed(Futures{sleeping, gated})) {
        const Future<int> future = co_await next;
        values.push_back(future.result());
      }
      opener.join();

      CHECK(values == std::vector{1, 2});
    });
  }

  TEST_CASE("a step is taken once, and two tasks do not wait for steps at the same time") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([]() -> Task<> {
      const Future<int> a = create_task(gives_after(1ms, 1));
      const Future<int> b = create_task(gives_after(2ms, 2));
      auto steps = as_completed(Futures{a, b});
      auto first = *steps.begin();
      const Future<int> waiter = create_task([&]() -> Task<int> {
        const Future<int> future = co_await first;
        co_return future.result();
      });
      co_await siding::yield();

      const auto refused = [](auto& step) -> Task<bool> {
        try {
          co_await step;
        } catch (const siding::InvalidStateError&) {
          co_return true;
        }
        co_return false;
      };
      auto second = *steps.begin();
      const bool at_the_same_time = co_await refused(second);
      const bool twice = co_await refused(first);
      const int value = co_await waiter;

      CHECK(at_the_same_time);
      CHECK(twice);
      CHECK(value == 1);
    });
  }

  TEST_CASE("a loop that is closed takes a waiting step with it") {
    Promise<int> promise;
    {
      siding::EventLoop loop;
      loop.create_task([future = promise.future()]() -> Task<> {
        auto steps = as_completed(Futures{future}, 1h);
        auto next = *steps.begin();
        co_await next;
      });
      loop.call_soon([&loop] { loop.call_soon([&loop] { loop.stop(); }); });
      loop.run_forever();
    }
    promise.set_value(1);

    CHECK(promise.future().result() == 1);
  }

  TEST_CASE("a loop that is closed waits for a completion that is on its way") {
    for (int round = 0; round < 100; ++round) {
      auto promise = std::make_shared<Promise<int>>();
      std::thread giver;
      {
        siding::EventLoop loop;
        loop.create_task([future = promise->future()]() -> Task<> {
          auto steps = as_completed(Futures{future});
          auto next = *steps.begin();
          co_await next;
        });
        loop.call_soon([&] {
          giver = std::thread([promise] { promise->set_value(1); });
          loop.stop();
        });
        loop.run_forever();
      }
      giver.join();
    }
  }
}

TEST_SUITE("as_completed on a plain thread") {
  // FW-007
  TEST_CASE("gives futures in the order of completion, finished ones first") {
    std::array<Promise<int>, 3> promises;
    const auto [a, b, c] = std::tuple(promises[0].future(), promises[1].future(), promises[2].future());
    promises[2].set_value(3);

    auto steps = as_completed(Futures{a, b, c});
    auto step = steps.begin();
    const auto first = (*step).get();
    promises[0].set_value(1);
    const auto second = (*++step).get();
    std::thread giver([&promises] { promises[1].set_value(2); });
    const auto third = (*++step).get();
    giver.join();

    CHECK(first == c);
    CHECK(second == a);
    CHECK(third == b);
    CHECK(++step == steps.end());
  }

  // FW-005
  TEST_CASE("a future that is given three times has one step") {
    Promise<int> promise;
    promise.set_value(1);
    const auto one = promise.future();

    int count = 0;
    for (auto next : as_completed(one, one, one)) {
      CHECK(next.get() == one);
      ++count;
    }

    CHECK(count == 1);
  }

  // FW-008
  TEST_CASE("does not keep a future alive that it has given") {
    siding_test::HeldExecutor executor;
    auto alive = std::make_shared<int>(1);
    std::weak_ptr<int> watched = alive;
    std::vector<Future<std::shared_ptr<int>>> futures;
    futures.push_back(executor.submit([kept = std::move(alive)] { return kept; }));
    futures.push_back(executor.submit([] { return std::make_shared<int>(2); }));
    executor.take().run();

    auto steps = as_completed(std::exchange(futures, {}));
    auto step = steps.begin();
    {
      const auto first = (*step).get();
      CHECK(watched.lock() != nullptr);
    }

    CHECK(watched.lock() == nullptr);
    executor.take().run();
    CHECK(*(*++step).get().result() == 2);
  }

  TEST_CASE("a step that is late throws, and gives what is done even then") {
    Promise<int> promise;
    auto steps = as_completed(Futures{promise.future()}, 1ms);

    CHECK_THROWS_AS((*steps.begin()).get(), siding::TimeoutError);
    promise.set_value(1);

    CHECK((*steps.begin()).get().result() == 1);
  }

  TEST_CASE("may be left before all have come") {
    siding::ThreadPool pool{{.max_workers = 4}};
    for (int round = 0; round < 100; ++round) {
      Futures futures;
      for (int n = 0; n < 4; ++n)
        futures.push_back(pool.submit([n] { return n; }));
      for (auto next : as_completed(futures)) {
        CHECK(next.get().valid());
        break;
      }
    }
  }

  TEST_CASE("a loop's thread is not blocked, and empty futures are refused") {
    CHECK_THROWS_AS(static_cast<void>(as_completed(Future<int>())), siding::InvalidStateError);
    CHECK(as_completed(Futures()).begin() == as_completed(Futures()).end());
    siding::run([]() -> Task<> {
      Promise<int> promise;
      auto steps = as_completed(Futures{promise.future()});
      CHECK_THROWS_AS((*steps.begin()).get(), siding::WouldBlockLoop);
      co_return;
    });
  }
}

}  // namespace siding_test::as_completed_test
