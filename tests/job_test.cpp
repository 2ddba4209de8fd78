// SPDX-License-Identifier: MIT
#include <siding/job.hpp>

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/executors.hpp"
#include "support/held_executor.hpp"
#include "support/log_capture.hpp"

namespace siding_test::job_test {
namespace {

using siding::BrokenPromise;
using siding::Executor;
using siding::Future;
using siding::Job;
using siding::JobQueue;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::HeldExecutor;
using siding_test::LogCapture;

/// An executor whose enqueue() is a function of the test.
class Enqueues final : public Executor {
 public:
  explicit Enqueues(std::function<void(Job)> function) : function_(std::move(function)) {}
  void enqueue(Job job) override { function_(std::move(job)); }
  bool stop(const siding::ShutdownOptions&) override { return true; }

 private:
  std::function<void(Job)> function_;
};

struct Full : std::runtime_error {
  Full() : std::runtime_error("full") {}
};

std::exception_ptr boom() { return std::make_exception_ptr(std::runtime_error("boom")); }

// What an await of a call on `executor` throws.
Task<std::exception_ptr> error_of_await(Executor& executor) {
  try {
    co_await siding::offload(executor, [] {});
  } catch (...) {
    co_return std::current_exception();
  }
  co_return nullptr;
}

}  // namespace

TEST_SUITE("Job") {
  TEST_CASE("running a job calls its function once, on that thread, and settles its future") {
    HeldExecutor executor;
    int calls = 0;
    const auto future = executor.submit([&calls] {
      ++calls;
      return std::this_thread::get_id();
    });
    CHECK(calls == 0);

    std::thread::id worker;
    std::thread thread([&] {
      worker = std::this_thread::get_id();
      executor.take().run();
    });
    thread.join();

    CHECK(calls == 1);
    REQUIRE(future.done());
    CHECK(future.result() == worker);
  }

  TEST_CASE("a job is empty when it was settled or moved from") {
    HeldExecutor executor;
    executor.submit([] {});
    executor.submit([] {});

    Job job = executor.take();
    CHECK(job);
    Job moved = std::move(job);
    CHECK_FALSE(job);
    CHECK(moved);
    moved.run();
    CHECK_FALSE(moved);
    moved = executor.take();
    CHECK(moved);
    moved.cancel();
    CHECK_FALSE(moved);
    CHECK_FALSE(Job());
  }

  TEST_CASE("a job that is failed settles with the error, and its function never runs") {
    HeldExecutor executor;
    Counts counts;
    bool ran = false;
    const auto future = executor.submit([&, counted = Counted(counts)] { ran = true; });

    executor.take().fail(boom());

    CHECK_THROWS_WITH_AS(future.result(), "boom", std::runtime_error);
    CHECK_FALSE(ran);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("a job that is cancelled settles as cancelled, and its function never runs") {
    HeldExecutor executor;
    Counts counts;
    bool ran = false;
    const auto future = executor.submit([&, counted = Counted(counts)] { ran = true; });

    executor.take().cancel();

    CHECK(future.cancelled());
    CHECK_FALSE(ran);
    CHECK(counts.alive() == 0);
  }

  // FU-013
  TEST_CASE("a job that is destroyed unsettled fails its future with BrokenPromise") {
    HeldExecutor executor;
    Counts counts;
    const auto future = executor.submit([counted = Counted(counts)] {});

    { const Job dropped = executor.take(); }

    REQUIRE(future.done());
    CHECK_THROWS_AS(future.get(), BrokenPromise);
    CHECK(counts.alive() == 0);
  }

  // FU-013
  TEST_CASE("assigning to a job drops the one before") {
    HeldExecutor executor;
    const auto first = executor.submit([] { return 1; });
    const auto second = executor.submit([] { return 2; });

    Job job = executor.take();
    job = executor.take();
    CHECK_THROWS_AS(first.result(), BrokenPromise);
    CHECK_FALSE(second.done());
    job.run();

    CHECK(second.result() == 2);
  }

  // FU-013
  TEST_CASE("a dropped job fails whoever awaits it, in whichever way") {
    HeldExecutor executor;

    siding::run([&]() -> Task<> {
      const auto lazy = siding::create_task(error_of_await(executor));
      co_await siding::yield();
      const auto hot = siding::run_in_executor(executor, [] {});
      std::thread([&executor] {
        while (const Job job = executor.take()) {
        }
      }).join();

      const auto error = co_await lazy;
      REQUIRE(error != nullptr);
      CHECK_THROWS_AS(std::rethrow_exception(error), BrokenPromise);
      CHECK_THROWS_AS(std::rethrow_exception(hot.exception()), BrokenPromise);
    });
  }

  TEST_CASE("an executor that drops a job in enqueue() without a word breaks its promise") {
    Enqueues executor([](Job) {});

    const auto future = executor.submit([] {});

    REQUIRE(future.done());
    CHECK_THROWS_AS(future.get(), BrokenPromise);
    siding::run([&]() -> Task<> {
      const auto error = co_await error_of_await(executor);
      CHECK_THROWS_AS(std::rethrow_exception(error), BrokenPromise);
    });
  }

  TEST_CASE("what enqueue() throws is thrown by submit(), and the call is gone") {
    const LogCapture log;
    Counts counts;
    bool ran = false;
    Enqueues executor([](Job) { throw Full(); });

    CHECK_THROWS_AS(executor.submit([&, counted = Counted(counts)] { ran = true; }), Full);
    CHECK(counts.alive() == 0);
    siding::run([&]() -> Task<> {
      CHECK_THROWS_AS(siding::run_in_executor(executor, [] {}), Full);
      const auto error = co_await error_of_await(executor);
      CHECK_THROWS_AS(std::rethrow_exception(error), Full);
    });

    CHECK_FALSE(ran);
    CHECK(log.lines().empty());  // nobody was left to hear of a broken promise
  }

  TEST_CASE("a map that is refused half-way throws the refusal, and what was taken runs nothing") {
    const LogCapture log;
    JobQueue taken;
    std::size_t held = 0;
    int ran = 0;
    Enqueues executor([&](Job job) {
      if (held == 2) throw Full();
      ++held;
      taken.push(std::move(job));
    });
    const auto count = [&ran](int n) {
      ++ran;
      return n;
    };

    CHECK_THROWS_AS(static_cast<void>(executor.map(count, std::vector{1, 2, 3, 4})), Full);
    std::size_t settled = 0;
    for (; Job job = taken.pop(); ++settled)
      job.run();

    CHECK(settled == 2);
    CHECK(ran == 0);
    CHECK(log.lines().empty());
  }

  TEST_CASE("an enqueue() that throws after taking the job is reported, and the job counts") {
    const LogCapture log;
    JobQueue taken;
    Enqueues executor([&taken](Job job) {
      taken.push(std::move(job));
      throw Full();
    });

    const auto future = executor.submit([] { return 1; });
    CHECK_FALSE(future.done());
    CHECK(log.lines().size() == 1);
    taken.pop().run();

    CHECK(future.result() == 1);
  }

  TEST_CASE("an enqueue() that throws after running the job is reported, and the result counts") {
    const LogCapture log;
    Enqueues executor([](Job job) {
      job.run();
      throw Full();
    });

    const auto future = executor.submit([] { return 1; });
    CHECK(future.result() == 1);
    siding::run([&]() -> Task<> {
      const int value = co_await siding::offload(executor, [] { return 2; });
      CHECK(value == 2);
    });

    CHECK(log.lines().size() == 2);
  }

  TEST_CASE("executors that run calls in submit() nest, and each error goes to its own caller") {
    siding_test::InlineExecutor outer;
    Enqueues refusing([](Job) { throw Full(); });
    Enqueues dropping([](Job) {});

    const auto refused = outer.submit([&] { return refusing.submit([] { return 1; }); });
    const auto dropped = outer.submit([&] { return dropping.submit([] { return 1; }); });
    const auto fine = outer.submit([&] { return outer.submit([] { return 1; }).get(); });

    CHECK_THROWS_AS(refused.result(), Full);
    REQUIRE(dropped.exception() == nullptr);
    CHECK_THROWS_AS(dropped.result().get(), BrokenPromise);
    CHECK(fine.result() == 1);
  }

  TEST_CASE("a job whose future was cancelled only settles when it is run, failed or dropped") {
    HeldExecutor executor;
    Counts counts;
    int ran = 0;
    std::vector<Future<>> futures;
    for (int i = 0; i < 4; ++i) {
      futures.push_back(executor.submit([&ran, counted = Counted(counts)] { ++ran; }));
      CHECK(futures.back().cancel());
    }

    executor.take().run();
    executor.take().fail(boom());
    executor.take().cancel();
    { const Job dropped = executor.take(); }

    CHECK(ran == 0);
    CHECK(counts.alive() == 0);
    for (const Future<>& future : futures)
      CHECK(future.cancelled());
  }

  TEST_CASE("a job keeps the outcome's state alive when all futures are gone") {
    const LogCapture log;
    HeldExecutor executor;
    Counts results;
    Counts arguments;

    executor.submit([&results, counted = Counted(arguments)] { return Counted(results); });
    executor.take().run();

    CHECK(results.made == 1);
    CHECK(results.destroyed == 1);
    CHECK(arguments.alive() == 0);
    CHECK(log.lines().empty());
  }

  TEST_CASE("a job has the name of its call, whatever its future is called later") {
    HeldExecutor executor;
    const auto named = executor.submit(siding::CallOptions{.name = "resize"}, [] {});
    const auto unnamed = executor.submit([] {});
    named.set_name("renamed");

    Job first = executor.take();
    Job second = executor.take();

    CHECK(first.name() == "resize");
    CHECK(second.name().empty());
    CHECK(named.name() == "renamed");
    CHECK(first.id() != second.id());
    CHECK(first.id() != nullptr);
    first.run();
    second.run();
  }
}

TEST_SUITE("JobQueue") {
  TEST_CASE("a queue gives jobs back in the order in which they came") {
    HeldExecutor executor;
    std::vector<int> order;
    JobQueue queue;
    CHECK(queue.empty());
    CHECK_FALSE(queue.pop());

    for (int n = 0; n < 3; ++n) {
      executor.submit([&order, n] { order.push_back(n); });
      queue.push(executor.take());
    }
    CHECK_FALSE(queue.empty());
    while (Job job = queue.pop())
      job.run();

    CHECK(queue.empty());
    CHECK(order == std::vector{0, 1, 2});
  }

  TEST_CASE("a job is taken out of any place, and the others keep their order") {
    for (std::size_t removed = 0; removed < 3; ++removed) {
      HeldExecutor executor;
      std::vector<std::size_t> order;
      std::vector<Job::Id> ids;
      JobQueue queue;
      for (std::size_t n = 0; n < 3; ++n) {
        executor.submit([&order, n] { order.push_back(n); });
        Job job = executor.take();
        ids.push_back(job.id());
        queue.push(std::move(job));
      }

      Job job = queue.remove(ids[removed]);
      REQUIRE(job);
      CHECK(job.id() == ids[removed]);
      CHECK_FALSE(queue.remove(ids[removed]));
      queue.push(std::move(job));  // to the end
      while (Job next = queue.pop())
        next.run();

      std::vector<std::size_t> expected{0, 1, 2};
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(removed));
      expected.push_back(removed);
      CHECK(order == expected);
    }
  }

  TEST_CASE("a job that is not in the queue cannot be taken out of it") {
    HeldExecutor executor;
    executor.submit([] {});
    executor.submit([] {});
    JobQueue one;
    JobQueue other;
    Job held = executor.take();
    Job queued = executor.take();
    const Job::Id id = queued.id();
    other.push(std::move(queued));

    CHECK_FALSE(one.remove(held.id()));
    CHECK_FALSE(one.remove(id));
    Job found = other.remove(id);
    REQUIRE(found);
    CHECK(other.empty());
    found.run();
    held.run();
  }

  // FU-013
  TEST_CASE("destroying a queue fails what it holds with BrokenPromise") {
    HeldExecutor executor;
    std::vector<Future<>> futures;
    {
      JobQueue queue;
      for (int i = 0; i < 3; ++i) {
        futures.push_back(executor.submit([] {}));
        queue.push(executor.take());
      }
    }

    for (const Future<>& future : futures) {
      REQUIRE(future.done());
      CHECK_THROWS_AS(future.result(), BrokenPromise);
    }
  }
}

}  // namespace siding_test::job_test
