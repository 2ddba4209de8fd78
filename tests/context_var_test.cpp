// SPDX-License-Identifier: MIT
#include <siding/context_var.hpp>

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/executors.hpp"
#include "support/process_pool_subject.hpp"
#include "support/turns.hpp"

namespace siding_test::context_var_test {
namespace {

using siding::ContextVar;
using siding::create_task;
using siding::Future;
using siding::Task;

ContextVar<int> number{"number"};
ContextVar<std::string> text{"text", "nobody"};

int read_number() { return number.get(); }
std::string read_text() { return text.get(); }
int set_and_read(int value) {
  number.set(value);
  return number.get();
}

}  // namespace

TEST_SUITE("ContextVar") {
  TEST_CASE("a variable has its initial value where none was set, and a name") {
    CHECK(number.get() == 0);
    CHECK(text.get() == "nobody");
    CHECK(text.name() == "text");
  }

  TEST_CASE("a task begins with the values of who created it, and keeps its changes for itself") {
    siding::run([]() -> Task<> {
      number.set(1);
      const Future<int> child = create_task([]() -> Task<int> {
        const int inherited = number.get();
        number.set(2);
        co_await siding::yield();
        co_return inherited * 10 + number.get();
      });
      number.set(3);
      const int seen = co_await child;
      CHECK(seen == 12);
      CHECK(number.get() == 3);
    });
    CHECK(number.get() == 0);
  }

  TEST_CASE("tasks that take turns each see their own value") {
    siding::run([]() -> Task<> {
      std::vector<Future<int>> tasks;
      for (int i = 0; i < 10; ++i) {
        tasks.push_back(create_task([i]() -> Task<int> {
          number.set(i);
          int wrong = 0;
          for (int turn = 0; turn < 10; ++turn) {
            co_await siding::yield();
            wrong += number.get() == i ? 0 : 1;
          }
          co_return wrong;
        }));
      }
      for (const Future<int>& task : tasks) {
        const int wrong = co_await task;
        CHECK(wrong == 0);
      }
    });
  }

  TEST_CASE("a coroutine that is awaited shares the values of its caller") {
    siding::run([]() -> Task<> {
      number.set(1);
      auto child = []() -> Task<int> {
        const int seen = number.get();
        number.set(5);
        co_return seen;
      };
      const int seen = co_await child();
      CHECK(seen == 1);
      CHECK(number.get() == 5);
    });
  }

  // CX-001
  TEST_CASE("a value that was set before to_thread is seen inside the function") {
    siding::run([]() -> Task<> {
      text.set("parrot");
      const std::string seen = co_await siding::to_thread(read_text);
      CHECK(seen == "parrot");
    });
  }

  // CX-002
  TEST_CASE("a change that the function makes does not leak back, nor to the next call") {
    siding::run([]() -> Task<> {
      siding::ThreadPool pool({.max_workers = 1});
      number.set(1);
      const int inside = co_await siding::offload(pool, set_and_read, 2);
      CHECK(inside == 2);
      CHECK(number.get() == 1);
      const int next = co_await siding::offload(pool, read_number);
      CHECK(next == 1);
    });
    siding::ThreadPool pool({.max_workers = 1});
    CHECK(pool.submit(set_and_read, 2).get() == 2);
    CHECK(pool.submit(read_number).get() == 0);
  }

  // CX-003
  TEST_CASE("run_in_executor and submit carry the values too, on every executor") {
    siding::ThreadPool threads({.max_workers = 1});
    InlineExecutor inline_executor;
    OneThread one_thread;
    for (siding::Executor* executor :
         {static_cast<siding::Executor*>(&threads), static_cast<siding::Executor*>(&inline_executor),
          static_cast<siding::Executor*>(&one_thread)}) {
      siding::run([executor]() -> Task<> {
        number.set(4);
        const int seen = co_await siding::run_in_executor(*executor, read_number);
        CHECK(seen == 4);
        const int inside = co_await siding::run_in_executor(*executor, set_and_read, 9);
        CHECK(inside == 9);
        CHECK(number.get() == 4);
        const int submitted = co_await executor->submit(read_number);
        CHECK(submitted == 4);
      });
    }
  }

  TEST_CASE("a call in another process sees the initial values") {
    const PoolSubject pool(1);
    siding::run([&]() -> Task<> {
      number.set(4);
      const int seen = co_await siding::offload(*pool, read_number);
      CHECK(seen == 0);
    });
  }

  // CX-004
  TEST_CASE("callbacks run with the values of where they were registered") {
    siding::run([]() -> Task<> {
      siding::EventLoop& loop = siding::EventLoop::current();
      std::vector<int> seen;
      const siding::Promise<int> promise;
      number.set(1);
      loop.call_soon([&] { seen.push_back(number.get()); });
      loop.call_later(std::chrono::nanoseconds(1), [&] {
        seen.push_back(number.get());
        number.set(7);
      });
      loop.call_soon_threadsafe([&] { seen.push_back(number.get()); });
      promise.future().add_done_callback([&] { seen.push_back(number.get()); });
      number.set(2);
      promise.future().cancel();
      while (seen.size() < 4) co_await siding::sleep(std::chrono::microseconds(100));
      CHECK(seen == std::vector(4, 1));
      CHECK(number.get() == 2);
    });
  }

  TEST_CASE("each thread has values of its own, which its runs begin with") {
    number.set(6);
    CHECK(siding::run([]() -> Task<int> { co_return number.get(); }) == 6);
    int elsewhere = -1;
    std::thread([&] { elsewhere = number.get(); }).join();
    CHECK(elsewhere == 0);
    number.set(0);
  }

  TEST_CASE("a scope gives the old value back, also the initial one") {
    siding::run([]() -> Task<> {
      {
        const auto outer = text.bind("first");
        CHECK(text.get() == "first");
        {
          const auto inner = text.bind("second");
          co_await siding::yield();
          CHECK(text.get() == "second");
        }
        CHECK(text.get() == "first");
      }
      CHECK(text.get() == "nobody");
    });
  }

  TEST_CASE("a scope in a frame that is destroyed with its loop changes nobody's values") {
    number.set(3);
    {
      siding::EventLoop loop;
      loop.create_task([]() -> Task<> {
        const auto scope = number.bind(8);
        co_await siding::sleep(siding::Limit());
      });
      loop.run_until_complete(turns(2));
      loop.close();
    }
    CHECK(number.get() == 3);
    number.set(0);
  }

  TEST_CASE("values are destroyed with the last task that has them") {
    ContextVar<std::shared_ptr<int>> shared{"shared"};
    std::weak_ptr<int> watched;
    siding::run([&]() -> Task<> {
      const Future<> task = create_task([&]() -> Task<> {
        auto value = std::make_shared<int>(1);
        watched = value;
        shared.set(std::move(value));
        co_await siding::yield();
        CHECK_FALSE(watched.expired());
      });
      co_await task;
    });
    CHECK(watched.expired());
  }
}

}  // namespace siding_test::context_var_test
