// SPDX-License-Identifier: MIT
// Queue: gets and puts that are cancelled, in every moment.
#include <siding/queue.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/sleep.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::queue_cancel_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Future;
using siding::Queue;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

Task<int> gets(Queue<int>& queue) { co_return co_await queue.get(); }
Task<> puts(Queue<int>& queue, int value) { co_await queue.put(value); }

TEST_SUITE("Queue, cancelled") {
  // TC-013
  TEST_CASE("an item that came for a getter which is then cancelled goes to the next") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const Future<int> first = siding::create_task(gets(queue));
      const Future<int> second = siding::create_task(gets(queue));
      co_await turns(1);

      queue.put_nowait(1);
      first.cancel();
      CHECK_THROWS_AS(co_await first, Cancelled);
      const int got = co_await second;

      CHECK(got == 1);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("an item that came for the only getter, which is then cancelled, stays first in line") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue(2);
      const Future<int> getter = siding::create_task(gets(queue));
      co_await turns(1);

      queue.put_nowait(1);
      queue.put_nowait(2);
      const Future<> putter = siding::create_task(puts(queue, 3));
      co_await turns(0);
      getter.cancel();

      CHECK(queue.size() == 2);  // the bound holds
      CHECK(queue.get_nowait() == 1);
      CHECK_THROWS_AS(co_await getter, Cancelled);
      const int second = co_await queue.get();
      const int third = co_await queue.get();
      CHECK(second == 2);
      CHECK(third == 3);
      co_await putter;
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a put that is cancelled while it waits puts nothing") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue(1);
      queue.put_nowait(1);
      const Future<> first = siding::create_task(puts(queue, 2));
      const Future<> second = siding::create_task(puts(queue, 3));
      co_await turns(1);

      first.cancel();
      CHECK_THROWS_AS(co_await first, Cancelled);
      CHECK(queue.get_nowait() == 1);
      co_await second;
      CHECK(queue.get_nowait() == 3);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // TC-013
  TEST_CASE("a put whose item was taken in before it was cancelled has succeeded") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue(1);
      queue.put_nowait(1);
      bool returned = false;
      const Future<> putter = siding::create_task([&]() -> Task<> {
        co_await queue.put(2);
        returned = true;
        co_await siding::yield();
      });
      co_await turns(1);

      CHECK(queue.get_nowait() == 1);  // makes room
      putter.cancel();
      CHECK_THROWS_AS(co_await putter, Cancelled);

      CHECK(returned);
      CHECK(queue.get_nowait() == 2);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("an item that comes in the iteration in which a limit passes stays in the queue") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const Future<> getter = siding::create_task([&]() -> Task<> {
        CHECK_THROWS_AS(co_await siding::wait_for(queue.get(), 1s), siding::TimeoutError);
      });
      co_await turns(1);

      virtual_loop.clock.advance(1s);  // the limit is due in the next iteration
      queue.put_nowait(1);
      co_await getter;

      CHECK(queue.get_nowait() == 1);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("cancelling at any moment loses nothing, doubles nothing and strands nobody") {
    // Every getter is cancelled `moment` turns after the putters have begun.
    for (int moment = 0; moment < 12; ++moment) {
      VirtualLoop virtual_loop;
      auto body = [&]() -> Task<> {
        Queue<int> queue(2);
        std::vector<int> got;
        auto gets_all = [&]() -> Task<> {
          for (;;) {
            const int item = co_await queue.get();
            got.push_back(item);  // no suspension point in between
          }
        };
        std::vector<Future<>> getters;
        for (int i = 0; i < 3; ++i)
          getters.push_back(siding::create_task(gets_all));
        const Future<> putter = siding::create_task([&]() -> Task<> {
          for (int i = 0; i < 20; ++i)
            co_await queue.put(i);
        });
        co_await turns(moment);
        for (const Future<>& getter : getters)
          getter.cancel();
        const Future<> last = siding::create_task(gets_all);
        co_await putter;
        co_await turns(5);
        last.cancel();

        std::sort(got.begin(), got.end());
        CHECK(got.size() == 20);
        CHECK(std::adjacent_find(got.begin(), got.end()) == got.end());
        CHECK(queue.empty());
      };
      virtual_loop.loop.run_until_complete(body);
    }
  }
}

}  // namespace
}  // namespace siding_test::queue_cancel_test
