// SPDX-License-Identifier: MIT
// The default executor of a loop: how it is replaced, and how it is ended.
#include <siding/event_loop.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/executor.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/turns.hpp"

namespace siding_test::default_executor_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::create_task;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::LeakGuard;
using siding_test::pass;
using siding_test::pass_with;
using siding_test::turns;

// Shorter than anything a person would wait for, long enough to see that it was waited for.
constexpr auto limit = 20ms;

/// The default pool of a loop, with a call that is stuck until the gate opens.
struct StuckPool {
  explicit StuckPool(EventLoop& loop) {
    auto made = std::make_shared<ThreadPool>();
    pool = made;
    call = made->submit(pass_with, gate.key(), 7);
    gate.wait_for_arrivals(1);
    loop.set_default_executor(std::move(made));
  }
  /// Lets the call go and ends the pool's threads, if the library has kept it.
  bool end() {
    gate.open();
    const std::shared_ptr<ThreadPool> kept = pool.lock();
    return kept != nullptr && kept->shutdown() && call.get() == 7;
  }

  Gate gate;
  std::weak_ptr<ThreadPool> pool;
  Future<int> call;
};

/// Ends at once, and says so or throws.
class Ends final : public siding::Executor {
 public:
  explicit Ends(std::exception_ptr error = nullptr) : error_(std::move(error)) {}
  void enqueue(siding::Job job) override { job.run(); }
  bool stop(const siding::ShutdownOptions&) override {
    if (error_) std::rethrow_exception(error_);
    return true;
  }

 private:
  std::exception_ptr error_;
};

}  // namespace

TEST_SUITE("EventLoop::set_default_executor") {
  TEST_CASE("gives the former one back, and does not shut it down") {
    const auto first = std::make_shared<ThreadPool>();
    const auto second = std::make_shared<ThreadPool>();
    EventLoop loop;
    CHECK(loop.default_executor() == nullptr);

    CHECK(loop.set_default_executor(first) == nullptr);
    CHECK(loop.default_executor() == first);
    CHECK(loop.set_default_executor(second) == first);

    CHECK(loop.default_executor() == second);
    CHECK(first->submit([] { return 1; }).get() == 1);
  }

  TEST_CASE("gives back the one that the loop had made") {
    EventLoop loop;
    loop.run_until_complete([]() -> Task<> {
      const int value = co_await siding::run_in_executor(nullptr, [] { return 1; });
      CHECK(value == 1);
    });
    const std::shared_ptr<siding::Executor> made = loop.default_executor();

    CHECK(made != nullptr);
    CHECK(loop.set_default_executor(nullptr) == made);
    CHECK(made->submit([] { return 2; }).get() == 2);
  }
}

TEST_SUITE("EventLoop::shutdown_default_executor") {
  TEST_CASE("is true at once where there is none") {
    EventLoop loop;
    CHECK(loop.run_until_complete(loop.shutdown_default_executor()));
  }

  TEST_CASE("is false when its limit passes, and the pool lives on for the call that is stuck") {
    const LeakGuard guard;
    EventLoop loop;
    StuckPool stuck(loop);

    const auto start = Clock::now();
    const bool ended = loop.run_until_complete(loop.shutdown_default_executor(limit));

    CHECK_FALSE(ended);
    CHECK(Clock::now() - start >= limit);
    CHECK_FALSE(stuck.call.done());
    CHECK(stuck.end());
  }

  // The gate is closed meanwhile: whoever waited for the stuck call would wait for ever.
  TEST_CASE("that is cancelled while it waits lasts until its limit, and then throws Cancelled") {
    const LeakGuard guard;
    EventLoop loop;
    StuckPool stuck(loop);

    const auto start = Clock::now();
    loop.run_until_complete([&]() -> Task<> {
      const Future<bool> ending = create_task(loop.shutdown_default_executor(limit));
      co_await turns(2);
      CHECK(ending.cancel());
      co_await turns(2);
      CHECK_FALSE(ending.done());
      co_await siding::wait(ending);
      CHECK(ending.cancelled());
    });

    CHECK(Clock::now() - start >= limit);
    CHECK_FALSE(stuck.call.done());
    CHECK(stuck.end());
  }

  TEST_CASE("that is cancelled before it begins does the same") {
    const LeakGuard guard;
    EventLoop loop;
    StuckPool stuck(loop);

    const auto start = Clock::now();
    loop.run_until_complete([&]() -> Task<> {
      const Future<> ending = create_task([&]() -> Task<> {
        siding::current_task().cancel();
        co_await loop.shutdown_default_executor(limit);
      });
      co_await siding::wait(ending);
      CHECK(ending.cancelled());
    });

    CHECK(Clock::now() - start >= limit);
    CHECK_FALSE(stuck.call.done());
    CHECK(stuck.end());
  }

  TEST_CASE("that is cancelled has shut a pool down that could end") {
    const LeakGuard guard;
    const auto pool = std::make_shared<ThreadPool>();
    EventLoop loop;
    loop.set_default_executor(pool);
    loop.run_until_complete([&]() -> Task<> {
      const Future<> ending = create_task([&]() -> Task<> {
        siding::current_task().cancel();
        co_await loop.shutdown_default_executor();
      });
      co_await siding::wait(ending);
      CHECK(ending.cancelled());
    });

    CHECK_THROWS_AS(pool->submit([] {}), siding::ShutdownError);
    CHECK(pool.use_count() == 1);  // it is not kept for good
  }

  TEST_CASE("in a loop that is closed meanwhile does not wait for the call that is stuck") {
    const LeakGuard guard;
    EventLoop loop;
    StuckPool stuck(loop);
    const Future<bool> ending = loop.create_task(loop.shutdown_default_executor(limit));
    loop.run_until_complete(turns(2));

    loop.close();

    CHECK_THROWS_AS(ending.result(), siding::LoopClosed);
    CHECK_FALSE(stuck.call.done());
    CHECK(stuck.end());
  }

  TEST_CASE("throws what a user's executor throws when it is shut down") {
    EventLoop loop;
    loop.set_default_executor(
        std::make_shared<Ends>(std::make_exception_ptr(std::runtime_error("stuck"))));

    CHECK_THROWS_WITH_AS(loop.run_until_complete(loop.shutdown_default_executor()), "stuck",
                         std::runtime_error);
  }

  TEST_CASE("afterwards no other default executor can be set") {
    auto main = []() -> Task<> {
      EventLoop& loop = EventLoop::current();
      CHECK(co_await loop.shutdown_default_executor());
      CHECK_THROWS_WITH_AS(static_cast<void>(loop.set_default_executor(
                               std::make_shared<siding::ThreadPool>())),
                           "set_default_executor: the default executor of this loop was shut down, "
                           "and there will be no other; name another executor in the call",
                           siding::ShutdownError);
    };

    siding::run(main);
  }

  TEST_CASE("a second shutdown waits as long as the first, and says so if its limit passes") {
    Gate gate;
    auto main = [&gate]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const Future<> call = siding::create_task(siding::to_thread(pass, gate.key()));
      co_await turns(2);
      gate.wait_for_arrivals(1);
      const Future<bool> first = siding::create_task(loop.shutdown_default_executor());
      co_await turns(2);
      const bool in_time = co_await loop.shutdown_default_executor(1ms);
      CHECK_FALSE(in_time);
      const Future<bool> second = siding::create_task(loop.shutdown_default_executor());
      co_await turns(2);
      CHECK_FALSE(first.done());
      CHECK_FALSE(second.done());
      gate.open();
      CHECK(co_await first);
      CHECK(co_await second);
      CHECK(co_await loop.shutdown_default_executor());
      co_await call;
    };

    siding::run(main);
  }
}

}  // namespace siding_test::default_executor_test
