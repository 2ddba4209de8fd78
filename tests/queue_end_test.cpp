// SPDX-License-Identifier: MIT
// Queue: shutdown, other loops and threads, items that throw, destruction.
#include <siding/queue.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/promise.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::queue_end_test {
namespace {

using siding::EventLoop;
using siding::Future;
using siding::InvalidStateError;
using siding::Queue;
using siding::QueueShutDown;
using siding::Task;
using siding_test::turns;
using siding_test::VirtualLoop;

Task<int> gets(Queue<int>& queue) { co_return co_await queue.get(); }
Task<> puts(Queue<int>& queue, int value) { co_await queue.put(value); }
Task<> joins(Queue<int>& queue) { co_await queue.join(); }

// Cannot be moved when it is told so.
struct Stubborn {
  explicit Stubborn(bool& is_stubborn) : stubborn(&is_stubborn) {}
  Stubborn(Stubborn&& other) : stubborn(other.stubborn) {
    if (*stubborn) throw std::runtime_error("will not move");
  }
  bool* stubborn;
};

TEST_SUITE("Queue::shutdown") {
  // QU-006
  TEST_CASE("puts throw; gets take what is there, and then throw") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      queue.put_nowait(1);
      queue.put_nowait(2);

      queue.shutdown();

      CHECK_THROWS_AS(co_await queue.put(3), QueueShutDown);
      CHECK_THROWS_AS(queue.put_nowait(3), QueueShutDown);
      const int one = co_await queue.get();
      CHECK(one == 1);
      CHECK(queue.get_nowait() == 2);
      CHECK_THROWS_AS(co_await queue.get(), QueueShutDown);
      CHECK_THROWS_AS(queue.get_nowait(), QueueShutDown);
      queue.task_done();
      queue.task_done();
      co_await queue.join();
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // QU-006
  TEST_CASE("gets and puts that wait are ended, and the items that were not put are dropped") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> empty;
      Queue<int> full(1);
      full.put_nowait(1);
      const Future<int> getter = siding::create_task(gets(empty));
      const Future<> putter = siding::create_task(puts(full, 2));
      co_await turns(1);

      empty.shutdown();
      full.shutdown();

      CHECK_THROWS_AS(co_await getter, QueueShutDown);
      CHECK_THROWS_AS(co_await putter, QueueShutDown);
      CHECK(full.size() == 1);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a getter for which an item had come gets it") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const Future<int> first = siding::create_task(gets(queue));
      const Future<int> second = siding::create_task(gets(queue));
      co_await turns(1);

      queue.put_nowait(1);
      queue.shutdown();

      const int got = co_await first;
      CHECK(got == 1);
      CHECK_THROWS_AS(co_await second, QueueShutDown);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // QU-006
  TEST_CASE("an immediate one drops the items, for which join no longer waits") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const Future<int> getter = siding::create_task(gets(queue));
      co_await turns(1);
      queue.put_nowait(1);  // the getter has a right to it, and loses it
      queue.put_nowait(2);
      const Future<> joiner = siding::create_task(joins(queue));
      co_await turns(0);

      queue.shutdown(true);

      CHECK(queue.empty());
      CHECK_THROWS_AS(co_await getter, QueueShutDown);
      co_await joiner;
      CHECK_THROWS_AS(co_await queue.get(), QueueShutDown);
      CHECK_THROWS_AS(queue.task_done(), InvalidStateError);
      queue.shutdown();
      queue.shutdown(true);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("after an immediate one join still waits for what is being worked on") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      queue.put_nowait(1);
      queue.put_nowait(2);
      CHECK(queue.get_nowait() == 1);
      const Future<> joiner = siding::create_task(joins(queue));
      co_await turns(1);

      queue.shutdown(true);
      co_await turns(2);
      CHECK_FALSE(joiner.done());
      queue.task_done();
      co_await joiner;
    };

    virtual_loop.loop.run_until_complete(body);
  }
}

TEST_SUITE("Queue, its surroundings") {
  // SY-012
  TEST_CASE("it may be made before any loop runs, and refuses to serve two loops") {
    static Queue<int> queue(1);
    VirtualLoop one;
    VirtualLoop two;
    auto contend = [&]() -> Task<> {
      const Future<int> getter = siding::create_task(gets(queue));
      co_await turns(1);
      co_await queue.put(1);
      const int got = co_await getter;
      CHECK(got == 1);
    };

    one.loop.run_until_complete(contend);

    const char* refusal =
        "Queue::get: this object serves another event loop than the one of this task; make one for "
        "each loop";
    auto wait_elsewhere = [&]() -> Task<> {
      CHECK_THROWS_WITH_AS(co_await queue.get(), refusal, InvalidStateError);
      co_await queue.put(1);  // waits for nothing
      CHECK_THROWS_AS(co_await queue.put(2), InvalidStateError);
      CHECK_THROWS_AS(co_await queue.join(), InvalidStateError);
    };
    two.loop.run_until_complete(wait_elsewhere);
    CHECK(queue.size() == 1);
  }

  TEST_CASE("what would wake a task from another thread is an error, and changes nothing") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      Queue<int> queue;
      const Future<int> getter = siding::create_task(gets(queue));
      co_await turns(1);

      std::thread([&] {
        CHECK_THROWS_AS(queue.put_nowait(1), std::logic_error);
        CHECK_THROWS_AS(queue.shutdown(), std::logic_error);
      }).join();
      CHECK(queue.empty());

      queue.put_nowait(2);
      const int got = co_await getter;
      CHECK(got == 2);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  // QU-007
  TEST_CASE("threads fill it by promises, and are held back while it is full") {
    constexpr int each = 1000;
    EventLoop loop;
    Queue<int> queue(4);
    std::size_t most = 0;
    auto put_and_tell = [&](int value, siding::Promise<void> accepted) -> Task<> {
      try {
        co_await queue.put(value);
        accepted.set_value();
      } catch (...) {
        accepted.set_exception(std::current_exception());
      }
    };
    auto put_blocking = [&](int value) {
      siding::Promise<void> accepted;
      const Future<void> over = accepted.future();
      loop.call_soon_threadsafe([&, value, accepted = std::move(accepted)]() mutable {
        siding::create_task(put_and_tell(value, std::move(accepted)));
      });
      over.get();
    };
    auto body = [&]() -> Task<> {
      std::vector<std::thread> threads;
      std::vector<siding::Promise<void>> ends(2);
      for (siding::Promise<void>& end : ends) {
        threads.emplace_back([&] {
          for (int i = 0; i < each; ++i)
            put_blocking(i);
          end.set_value();
        });
      }
      int sum = 0;
      for (int i = 0; i < 2 * each; ++i) {
        most = std::max(most, queue.size());
        const int item = co_await queue.get();
        sum += item;
      }
      CHECK(sum == each * (each - 1));
      for (const siding::Promise<void>& end : ends)
        co_await end.future();
      for (std::thread& thread : threads)
        thread.join();
    };

    loop.run_until_complete(body);

    CHECK(most <= 4);
    CHECK(queue.empty());
  }

  TEST_CASE("an item whose move throws while its put waits fails that put, and the next goes on") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      bool first_stubborn = false;
      bool second_stubborn = false;
      Queue<Stubborn> queue(1);
      queue.put_nowait(Stubborn(second_stubborn));
      auto puts_one = [&](bool& flag) -> Task<> {
        Stubborn item(flag);
        co_await queue.put(std::move(item));
      };
      const Future<> first = siding::create_task(puts_one(first_stubborn));
      const Future<> second = siding::create_task(puts_one(second_stubborn));
      co_await turns(1);

      first_stubborn = true;
      static_cast<void>(queue.get_nowait());

      CHECK_THROWS_AS(co_await first, std::runtime_error);
      co_await second;
      CHECK(queue.size() == 1);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("an item that cannot be moved out stays, for the next getter") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      bool stubborn = false;
      Queue<Stubborn> queue;
      queue.put_nowait(Stubborn(stubborn));

      stubborn = true;
      CHECK_THROWS_AS(co_await queue.get(), std::runtime_error);
      CHECK_THROWS_AS(queue.get_nowait(), std::runtime_error);
      CHECK(queue.size() == 1);
      stubborn = false;
      static_cast<void>(queue.get_nowait());
      CHECK(queue.empty());
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("destroying it ends the waits, also of who was woken") {
    VirtualLoop virtual_loop;
    auto body = [&]() -> Task<> {
      std::optional<Queue<int>> queue(std::in_place, 1);
      const Future<int> woken = siding::create_task(gets(*queue));
      const Future<int> waiting = siding::create_task(gets(*queue));
      co_await turns(1);
      queue->put_nowait(1);
      const Future<> putter = siding::create_task(puts(*queue, 2));
      const Future<> joiner = siding::create_task(joins(*queue));
      SUBCASE("at once") {
        queue.reset();
        CHECK_THROWS_AS(co_await woken, InvalidStateError);
        putter.cancel();  // neither has begun
        joiner.cancel();
      }
      SUBCASE("later") {
        co_await turns(1);
        co_await woken;
        co_await putter;
        const Future<> late = siding::create_task(puts(*queue, 3));
        co_await waiting;
        co_await late;
        queue.reset();
        CHECK_THROWS_AS(co_await joiner, InvalidStateError);
        co_return;
      }
      CHECK_THROWS_AS(co_await waiting, InvalidStateError);
    };

    virtual_loop.loop.run_until_complete(body);
  }

  TEST_CASE("a loop may be closed while tasks wait for it in every way") {
    Queue<int> queue(1);
    Queue<int> full(1);
    full.put_nowait(1);
    {
      VirtualLoop virtual_loop;
      auto body = [&]() -> Task<> {
        siding::create_task(gets(queue));
        siding::create_task(gets(queue));
        siding::create_task(puts(full, 2));
        siding::create_task(joins(full));
        co_await turns(1);
      };
      virtual_loop.loop.run_until_complete(body);
      queue.put_nowait(7);  // for the first, which never resumes
    }
    CHECK(queue.get_nowait() == 7);
    CHECK(full.get_nowait() == 1);
    CHECK(full.empty());
  }
}

}  // namespace
}  // namespace siding_test::queue_end_test
