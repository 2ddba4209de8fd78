// SPDX-License-Identifier: MIT
// Queue: what is put and got, in which order, and who waits.
#include <siding/queue.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/take.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::queue_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::InvalidStateError;
using siding::LifoQueue;
using siding::PriorityQueue;
using siding::Queue;
using siding::QueueEmpty;
using siding::QueueFull;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

struct Aggregate {
  std::string name;
  std::vector<int> values;
};

// Less by its first member alone.
struct Ranked {
  int rank;
  char name;
  bool operator<(const Ranked& other) const { return rank < other.rank; }
};

TEST_SUITE("Queue") {
  // QU-001
  TEST_CASE("first in, first out; a full one makes puts wait, an empty one gets") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue(2);
      int put = 0;
      const Future<> putter = siding::create_task([&]() -> Task<> {
        for (; put < 3; ++put)
          co_await queue.put(put);
      });
      co_await turns(3);
      CHECK(put == 2);
      CHECK(queue.full());
      CHECK(queue.size() == 2);

      for (int expected = 0; expected < 3; ++expected) {
        const int got = co_await queue.get();
        CHECK(got == expected);
      }
      co_await putter;
      CHECK(queue.empty());

      const Future<int> getter =
          siding::create_task([&]() -> Task<int> { co_return co_await queue.get(); });
      co_await turns(3);
      CHECK_FALSE(getter.done());
      co_await queue.put(7);
      const int got = co_await getter;
      CHECK(got == 7);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a put with room and a get with an item do not suspend") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const auto before = virtual_loop.loop.counters().iterations;
      for (int i = 0; i < 10'000; ++i)
        co_await queue.put(i);
      int wrong = 0;
      for (int i = 0; i < 10'000; ++i) {
        const int got = co_await queue.get();
        wrong += got != i;
      }
      CHECK(wrong == 0);
      CHECK(virtual_loop.loop.counters().iterations == before);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("items keep their order while the ring of a queue grows, shrinks and turns") {
    Queue<std::string> queue;
    int put = 0;
    int got = 0;
    int wrong = 0;
    for (int burst = 1; burst < 20'000; burst = burst * 3 + 1) {
      for (int i = 0; i < burst; ++i)
        queue.put_nowait(std::to_string(put++));
      for (int i = 0; i < burst - 1; ++i)
        wrong += queue.get_nowait() != std::to_string(got++);
    }
    while (!queue.empty())
      wrong += queue.get_nowait() != std::to_string(got++);

    CHECK(wrong == 0);
    CHECK(got == put);
  }

  // QU-002
  TEST_CASE("what does not wait throws QueueFull and QueueEmpty, and changes nothing") {
    Queue<std::unique_ptr<int>> queue(1);
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);

    CHECK_THROWS_AS(queue.get_nowait(), QueueEmpty);
    queue.put_nowait(std::move(first));
    CHECK_THROWS_AS(queue.put_nowait(std::move(second)), QueueFull);

    CHECK(queue.size() == 1);
    CHECK(second != nullptr);  // NOLINT(bugprone-use-after-move): that is what is asked
    CHECK(*queue.get_nowait() == 1);
  }

  TEST_CASE("it may be filled before any loop runs") {
    VirtualLoop virtual_loop;
    Queue<int> queue;
    queue.put_nowait(1);
    queue.put_nowait(2);
    auto body = [&]() -> Task<> {
      const int one = co_await queue.get();
      const int two = co_await queue.get();
      CHECK(one == 1);
      CHECK(two == 2);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("getters are served in their order, and nobody overtakes who was woken") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      std::vector<std::pair<char, int>> log;
      auto gets = [&](char name) -> Task<> {
        const int got = co_await queue.get();
        log.emplace_back(name, got);
      };
      const Future<> first = siding::create_task(gets('a'));
      const Future<> second = siding::create_task(gets('b'));
      co_await turns(1);

      queue.put_nowait(1);
      queue.put_nowait(2);
      CHECK_THROWS_AS(queue.get_nowait(), QueueEmpty);  // both are reserved
      co_await queue.put(3);
      const int ours = co_await queue.get();
      co_await second;

      CHECK(log.size() == 2);
      CHECK(log[0].first == 'a');
      CHECK(log[1].first == 'b');
      CHECK(log[0].second + log[1].second + ours == 6);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("putters are served in their order, and the bound holds at every moment") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue(1);
      queue.put_nowait(0);
      auto puts = [&](int value) -> Task<> { co_await queue.put(value); };
      std::vector<Future<>> putters;
      for (int i = 1; i <= 3; ++i)
        putters.push_back(siding::create_task(puts(i)));
      co_await turns(1);

      for (int expected = 0; expected <= 3; ++expected) {
        CHECK(queue.size() == 1);
        CHECK(queue.get_nowait() == expected);
      }
      CHECK(queue.empty());
      co_await putters[2];
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // QU-003
  TEST_CASE("join waits until task_done was called for each item; once too often is an error") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      int done = 0;
      auto works = [&]() -> Task<> {
        for (;;) {
          const int item = co_await queue.get();
          co_await siding::sleep(std::chrono::milliseconds(item % 7));
          ++done;
          queue.task_done();
        }
      };
      for (int i = 0; i < 100; ++i)
        queue.put_nowait(i);
      const Future<> one = siding::create_task(works);
      const Future<> two = siding::create_task(works);

      co_await queue.join();

      CHECK(done == 100);
      CHECK_THROWS_AS(queue.task_done(), InvalidStateError);
      one.cancel();
      two.cancel();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // QU-004
  TEST_CASE("join of a queue that was never used returns at once") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const auto before = virtual_loop.loop.counters().iterations;
      co_await queue.join();
      co_await queue.join();
      CHECK(virtual_loop.loop.counters().iterations == before);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // QU-005
  TEST_CASE("LifoQueue gives the last in first, PriorityQueue the least") {
    LifoQueue<int> lifo;
    PriorityQueue<int> priority;
    for (const int value : {1, 3, 2}) {
      lifo.put_nowait(value);
      priority.put_nowait(value);
    }

    CHECK(lifo.get_nowait() == 2);
    CHECK(lifo.get_nowait() == 3);
    CHECK(lifo.get_nowait() == 1);
    CHECK(priority.get_nowait() == 1);
    CHECK(priority.get_nowait() == 2);
    CHECK(priority.get_nowait() == 3);
  }

  // QU-005
  TEST_CASE("items of equal priority keep the order in which they were put") {
    PriorityQueue<Ranked> queue;
    const std::string names = "abcdefghijklmnopqrstuvwxyz";
    for (std::size_t i = 0; i < names.size(); ++i)
      queue.put_nowait(Ranked{static_cast<int>(i % 3), names[i]});

    std::string got;
    while (!queue.empty())
      got += queue.get_nowait().name;

    CHECK(got == "adgjmpsvybehknqtwzcfilorux");
  }

  TEST_CASE("a getter of a PriorityQueue gets the least that is there when it goes on") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      PriorityQueue<int, std::greater<>> queue;
      const Future<int> getter =
          siding::create_task([&]() -> Task<int> { co_return co_await queue.get(); });
      co_await turns(1);
      queue.put_nowait(1);
      queue.put_nowait(3);
      queue.put_nowait(2);
      const int got = co_await getter;
      CHECK(got == 3);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("items that can only be moved pass through all three") {
    VirtualLoop virtual_loop;
    auto pass = [](auto& queue) -> Task<> {
      auto item = std::make_unique<int>(7);
      co_await queue.put(std::move(item));
      co_await queue.put(std::make_unique<int>(8));
      const std::unique_ptr<int> one = co_await queue.get();
      const std::unique_ptr<int> two = co_await queue.get();
      CHECK(*one + *two == 15);
    };
    auto body = [&]() -> Task<> {
      Queue<std::unique_ptr<int>> queue;
      LifoQueue<std::unique_ptr<int>> lifo;
      PriorityQueue<std::unique_ptr<int>> priority;
      co_await pass(queue);
      co_await pass(lifo);
      co_await pass(priority);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("aggregates are put by name, by take and in braces") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<Aggregate> queue;
      Aggregate item{"a name that is longer than any small string", {1, 2, 3}};
      co_await queue.put(item);
      co_await queue.put(siding::take(item));
      CHECK(item.values.empty());
      auto braces = queue.put({"another name that is longer than any small string", {4}});
      co_await braces;
      CHECK(queue.size() == 3);
      for (int i = 0; i < 3; ++i) {
        const Aggregate got = co_await queue.get();
        CHECK(got.name.size() > 40);
      }
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("each item is destroyed once, wherever it is") {
    VirtualLoop virtual_loop;
    siding_test::Counts counts;
    auto body = [&]() -> Task<> {
      Queue<siding_test::Counted> queue(2);
      for (int i = 0; i < 5; ++i) {
        siding::create_task([&, i]() -> Task<> {
          siding_test::Counted item(counts, i);
          try {
            co_await queue.put(siding::take(item));
          } catch (const siding::QueueShutDown&) {
            CHECK(i >= 3);
          }
        });
      }
      co_await turns(2);
      CHECK(queue.get_nowait().value() == 0);
      co_await turns(2);
      CHECK(queue.size() == 2);
      CHECK(counts.alive() > 2);
      queue.shutdown();  // two that wait are refused, two stay
      co_await turns(2);
      CHECK(counts.alive() == 2);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(counts.alive() == 0);
    CHECK(counts.copied == 0);
  }

  TEST_CASE("a put is awaited once") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      auto put = queue.put(1);
      co_await put;
      CHECK_THROWS_AS(co_await put, InvalidStateError);
      CHECK(queue.size() == 1);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("wait_for limits puts, gets and joins") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue(1);
      CHECK_THROWS_AS(co_await siding::wait_for(queue.get(), 1s), siding::TimeoutError);
      co_await siding::wait_for(queue.put(1), 1s);
      CHECK_THROWS_AS(co_await siding::wait_for(queue.put(2), 1s), siding::TimeoutError);
      CHECK_THROWS_AS(co_await siding::wait_for(queue.join(), 1s), siding::TimeoutError);
      CHECK(virtual_loop.elapsed() == 3s);
      const int got = co_await siding::wait_for(queue.get(), 1s);
      CHECK(got == 1);
      CHECK(queue.empty());  // what was late was not put
    };

    virtual_loop.loop.run_until_complete(body);
  }
}

}  // namespace
}  // namespace siding_test::queue_test
