// SPDX-License-Identifier: MIT
#include <siding/gather.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/promise.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/take.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/reports.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::gather_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::Future;
using siding::gather;
using siding::OnError;
using siding::Promise;
using siding::Task;
using siding_test::Reports;
using siding_test::turns;
using siding_test::VirtualLoop;

template <class T>
Task<T> gives_after(siding::Limit length, T value) {
  co_await siding::sleep(length);
  co_return value;
}
Task<int> throws_after(siding::Limit length, std::string text = "far") {
  co_await siding::sleep(length);
  throw std::out_of_range(text);
}

/// Needs `clean_up` to end when it is cancelled.
Task<int> tidies_up(siding::Limit clean_up, bool& tidied) {
  bool cancelled = false;
  try {
    co_await siding::sleep(1h);
  } catch (const Cancelled&) {
    cancelled = true;
  }
  co_await siding::sleep(clean_up);
  tidied = true;
  if (cancelled) throw Cancelled();
  co_return 0;
}

}  // namespace

TEST_SUITE("gather") {
  // WT-001
  TEST_CASE("gives results in the order given: a tuple for a list, a vector for a range") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      // They finish in the order b, a, c.
      const auto [a, b, c] = co_await gather(
          gives_after(20ms, 1), gives_after(10ms, std::string("b")), gives_after(30ms, 'c'));
      CHECK(virtual_loop.elapsed() == 30ms);
      CHECK(a == 1);
      CHECK(b == "b");
      CHECK(c == 'c');

      std::vector<Task<int>> tasks;
      for (const int ms : {20, 10, 30}) {
        tasks.push_back(gives_after(std::chrono::milliseconds(ms), ms));
      }
      const std::vector<int> results = co_await gather(std::move(tasks));
      CHECK(results == std::vector<int>{20, 10, 30});
    });
  }

  // g++ evaluates the arguments of a call from the last to the first.
  TEST_CASE("starts its children in the order given") {
    std::vector<int> started;
    const auto child = [&started](int number) -> Task<int> {
      started.push_back(number);
      co_return number;
    };
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete(
        [&]() -> Task<> { co_await gather(child(1), child(2), child(3)); });

    CHECK(started == std::vector<int>{1, 2, 3});
  }

  // WT-001
  TEST_CASE("takes tasks, futures and what the library's functions return") {
    siding::ThreadPool pool;
    siding::EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      const Future<int> future = siding::run_in_executor(pool, [] { return 2; });
      const auto [task, call, named, nothing] = co_await gather(
          gives_after(0s, 1), siding::to_thread([] { return 3; }), future, siding::yield());
      CHECK(task == 1);
      CHECK(call == 3);
      CHECK(named == 2);
      static_assert(std::is_same_v<decltype(nothing), const std::monostate>);

      // A named range of futures is copied from, not moved from.
      const std::vector<Future<int>> futures{future, future};
      const std::vector<int> results = co_await gather(futures);
      CHECK(results == std::vector<int>{2, 2});
      CHECK(futures[0].result() == 2);
      co_await loop.shutdown_default_executor();
    });
  }

  TEST_CASE("void becomes monostate in a tuple, a range of void gives void") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const auto both = co_await gather(turns(1), turns(2));
      static_assert(
          std::is_same_v<decltype(both), const std::tuple<std::monostate, std::monostate>>);
      std::vector<Task<>> tasks;
      tasks.push_back(turns(1));
      auto all = gather(std::move(tasks));
      static_assert(std::is_void_v<decltype(all)::value_type>);
      co_await all;
    });
  }

  TEST_CASE("move-only results are moved, references become reference_wrappers") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      static int target = 5;
      const auto pointer = []() -> Task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(7);
      };
      const auto reference = []() -> Task<int&> { co_return target; };
      const auto [owned, referred] = co_await gather(pointer(), reference());
      CHECK(*owned == 7);
      CHECK(&referred.get() == &target);
    });
  }

  TEST_CASE("starts nothing before it is awaited") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool started = false;
      const auto body = [&started]() -> Task<> {
        started = true;
        co_return;
      };
      auto gathered = gather(body());
      co_await turns(3);
      CHECK_FALSE(started);
      co_await gathered;
      CHECK(started);
    });
  }

  // WT-002
  TEST_CASE("rethrows the first failure at once; the others go on") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool flag = false;
      const auto sets_flag = [&flag]() -> Task<int> {
        co_await siding::sleep(50ms);
        flag = true;
        co_return 0;
      };
      std::string text;
      try {
        co_await gather(throws_after(10ms, "first"), sets_flag(), throws_after(20ms, "second"));
      } catch (const std::out_of_range& error) {
        text = error.what();
      }
      CHECK(text == "first");
      CHECK(virtual_loop.elapsed() == 10ms);
      CHECK_FALSE(flag);
      co_await siding::sleep(40ms);
      co_await turns(1);
      CHECK(flag);
    });
    // The second failure counts as seen: it is of a gather that has failed.
    CHECK(reports.size() == 0);
  }

  // WT-003
  TEST_CASE("can cancel the others on the first failure, and waits until they have ended") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool tidied = false;
      const Future<int> b = create_task(tidies_up(30ms, tidied));
      std::string text;
      try {
        co_await gather({.on_error = OnError::cancel_rest}, throws_after(10ms), b);
      } catch (const std::out_of_range& error) {
        text = error.what();
      }
      CHECK(text == "far");
      CHECK(virtual_loop.elapsed() == 40ms);
      CHECK(tidied);
      CHECK(b.cancelled());
    });
  }

  // WT-003
  TEST_CASE("a range takes the same option last") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool tidied = false;
      std::vector<Future<int>> futures{create_task(throws_after(10ms)),
                                       create_task(tidies_up(30ms, tidied))};
      auto gathered = gather(futures, {.on_error = OnError::cancel_rest});
      bool failed = false;
      try {
        co_await gathered;
      } catch (const std::out_of_range&) {
        failed = true;
      }
      CHECK(failed);
      CHECK(futures[1].cancelled());
    });
  }

  // WT-002
  TEST_CASE("a child that was cancelled is a failure too") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> child = create_task(gives_after(1h, 1));
      const Future<int> other = create_task(gives_after(20ms, 2));
      const Future<> outer = create_task([&]() -> Task<> { co_await gather(child, other); });
      co_await turns(2);
      child.cancel();
      co_await turns(4);
      CHECK(outer.cancelled());
      const int value = co_await other;
      CHECK(value == 2);
    });
  }

  // WT-005
  TEST_CASE("being cancelled cancels every child, and ends when they have ended") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool reached = false;
      bool tidied = false;
      const Future<int> first = create_task(gives_after(1h, 1));
      const Future<int> second = create_task(tidies_up(30ms, tidied));
      const Future<> outer = create_task([&]() -> Task<> {
        co_await gather(first, second);
        reached = true;
      });
      co_await turns(3);

      outer.cancel();
      co_await siding::wait(outer);

      CHECK(virtual_loop.elapsed() == 30ms);
      CHECK(tidied);
      CHECK(first.cancelled());
      CHECK(second.cancelled());
      CHECK(outer.cancelled());
      CHECK_FALSE(reached);
    });
  }

  // WT-005
  TEST_CASE("being cancelled cancels also the tasks that it has started itself") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      bool one = false;
      bool two = false;
      const Future<> outer = create_task(
          [&]() -> Task<> { co_await gather(tidies_up(10ms, one), tidies_up(20ms, two)); });
      co_await turns(3);
      outer.cancel();
      co_await siding::wait(outer);
      CHECK(outer.cancelled());
      CHECK(one);
      CHECK(two);
      CHECK(virtual_loop.elapsed() == 20ms);
    });
  }

  // WT-007
  TEST_CASE("of nothing is an empty result at once") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const std::uint64_t before = virtual_loop.loop.counters().iterations;
      const auto nothing = co_await gather();
      static_assert(std::is_same_v<decltype(nothing), const std::tuple<>>);
      const std::vector<int> results = co_await gather(std::vector<Future<int>>());
      CHECK(results.empty());
      co_await gather(std::vector<Task<>>());
      CHECK(virtual_loop.loop.counters().iterations <= before + 1);
    });
  }

  TEST_CASE("one future may be given twice") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      const Future<int> future = create_task(gives_after(10ms, 4));
      const auto [a, b] = co_await gather(future, future);
      CHECK(a + b == 8);
    });
  }

  TEST_CASE("children that are done already are taken at once") {
    VirtualLoop virtual_loop;
    virtual_loop.loop.run_until_complete([&]() -> Task<> {
      Promise<int> value;
      value.set_value(1);
      const auto [a] = co_await gather(value.future());
      CHECK(a == 1);

      Promise<int> failed;
      failed.set_exception(std::make_exception_ptr(std::out_of_range("far")));
      const Future<int> pending = create_task(gives_after(1h, 2));
      bool thrown = false;
      try {
        co_await gather(pending, failed.future());
      } catch (const std::out_of_range&) {
        thrown = true;
      }
      CHECK(thrown);
      CHECK(virtual_loop.elapsed() == 0s);
      CHECK_FALSE(pending.done());
      pending.cancel();
    });
  }

  TEST_CASE("a loop that is closed under it destroys the children's frames") {
    auto alive = std::make_shared<int>(0);
    {
      siding::EventLoop loop;
      const auto child = [](std::shared_ptr<int>) -> Task<> { co_await siding::sleep(1h); };
      loop.create_task([&]() -> Task<> { co_await gather(child(alive), child(alive)); });
      loop.run_until_complete(turns(4));
      CHECK(alive.use_count() == 3);
    }
    CHECK(alive.use_count() == 1);
  }
}

}  // namespace siding_test::gather_test
