// SPDX-License-Identifier: MIT
// Every function of a user that the library calls from a thread of its own, from the loop or below a C
// function throws here, and throws what is no std::exception: it is reported, and nothing ends.

#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"

namespace siding_test::hooks_test {

/// Breaks where it is told to, on its way to another process and back.
struct Fragile {
  enum class At { nowhere, write, read } at = At::nowhere;
};

/// An exception whose form for other processes breaks in the same way.
struct FragileError {
  Fragile::At at;
};

inline int throw_seven() { throw 7; }

}  // namespace siding_test::hooks_test

template <>
struct siding::Wire<siding_test::hooks_test::Fragile> {
  using Fragile = siding_test::hooks_test::Fragile;
  static void write(WireWriter& out, const Fragile& value) {
    if (value.at == Fragile::At::write) siding_test::hooks_test::throw_seven();
    out.value(static_cast<int>(value.at));
  }
  static Fragile read(WireReader& in) {
    const auto at = static_cast<Fragile::At>(in.value<int>());
    if (at == Fragile::At::read) siding_test::hooks_test::throw_seven();
    return {at};
  }
};

template <>
struct siding::Wire<siding_test::hooks_test::FragileError> {
  using Fragile = siding_test::hooks_test::Fragile;
  using FragileError = siding_test::hooks_test::FragileError;
  static void write(WireWriter& out, const FragileError& value) {
    if (value.at == Fragile::At::write) siding_test::hooks_test::throw_seven();
    out.value(static_cast<int>(value.at));
  }
  static FragileError read(WireReader& in) {
    const auto at = static_cast<Fragile::At>(in.value<int>());
    if (at == Fragile::At::read) siding_test::hooks_test::throw_seven();
    return {at};
  }
};

namespace siding_test::hooks_test {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Executor;
using siding::Future;
using siding::Job;
using siding::ProcessPool;
using siding::Task;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::LogCapture;
using siding_test::Reports;
using siding_test::turns;

const siding::RegisterError<FragileError> fragile_error_crosses{};

int take_fragile(Fragile) { return 1; }
Fragile make_fragile(int at) { return {static_cast<Fragile::At>(at)}; }
void throw_fragile(int at) { throw FragileError{static_cast<Fragile::At>(at)}; }

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Throws wherever it can.
class ThrowingExecutor final : public Executor {
 public:
  explicit ThrowingExecutor(bool takes) : takes_(takes) {}
  void enqueue(Job job) override {
    if (takes_) job.run();
    throw_seven();
  }
  bool stop(const siding::ShutdownOptions&) override { return throw_seven() != 0; }

 private:
  const bool takes_;
};

/// Never ends, and cannot say why.
class StuckExecutor final : public Executor {
 public:
  void enqueue(Job job) override { job.run(); }
  bool stop(const siding::ShutdownOptions& how) override { return !how.wait; }
  std::vector<std::string> running_calls() const override {
    throw_seven();
    return {};
  }
};

TEST_SUITE("what users' functions throw") {
  // CC-008
  TEST_CASE("an initializer's error breaks its pool of threads or processes, and is logged") {
    const LogCapture log;
    {
      ThreadPool threads{{.max_workers = 1, .initializer = [] { throw_seven(); }}};
      ProcessPool processes{{.max_workers = 1, .initializer = [] { throw_seven(); }}};
      CHECK_THROWS_AS(threads.submit([] { return 1; }).get(hang_limit), siding::BrokenExecutor);
      CHECK_THROWS_AS(processes.submit([] { return 1; }).get(hang_limit), siding::BrokenExecutor);
    }
    REQUIRE(log.lines().size() == 2);
    CHECK(contains(log.lines()[0], "the initializer of a thread pool threw; the pool is broken: int"));
    CHECK(contains(log.lines()[1], "the initializer of a process pool threw; the pool is broken: "));
  }

  // CC-008
  TEST_CASE("a done-callback's error is logged where a worker or the manager of a pool calls it") {
    const LogCapture log;
    {
      ThreadPool threads{{.max_workers = 1}};
      ProcessPool processes{{.max_workers = 1}};
      for (Executor* pool : {static_cast<Executor*>(&threads), static_cast<Executor*>(&processes)}) {
        Gate gate;
        const Future<> call = pool->submit(siding_test::pass, gate.key());
        call.add_done_callback([] { throw_seven(); });
        gate.open();
        call.get(hang_limit);
        CHECK(pool->submit(siding_test::pass_with, gate.key(), 2).get(hang_limit) == 2);
      }
      threads.shutdown();
      processes.shutdown();
    }
    REQUIRE(log.lines().size() == 2);
    for (const std::string& line : log.lines())
      CHECK(contains(line, "a done-callback threw: int"));
  }

  // CC-008
  TEST_CASE("a log sink's error is swallowed, also where a report of it would need the sink") {
    std::atomic<int> lines{0};
    siding::set_log_sink([&](std::string_view) {
      ++lines;
      throw_seven();
    });
    {
      ThreadPool pool{{.max_workers = 1}};
      pool.submit([] { throw_seven(); });  // nobody looks at the error
      CHECK(pool.submit([] { return 1; }).get(hang_limit) == 1);
      siding::run([]() -> Task<> {
        EventLoop::current().call_soon([] { throw_seven(); });
        EventLoop::current().set_exception_handler([](const siding::ErrorReport&) { throw_seven(); });
        co_await turns(3);
      });
    }
    siding::set_log_sink({});
    CHECK(lines == 3);  // the call, the handler, and what the handler was told of
  }

  // CC-008
  TEST_CASE("the errors of a loop's callbacks go to its exception handler") {
    siding::run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const Reports reports(loop);
      const auto throws = [] { throw_seven(); };
      loop.call_soon(throws);
      loop.call_later(0ms, throws);
      loop.call_at(siding::Clock::now(), throws);
      std::thread([&] { loop.call_soon_threadsafe(throws); }).join();
      loop.add_signal_handler(SIGUSR1, throws);
      ::raise(SIGUSR1);
      const Future<> task = siding::create_task([]() -> Task<> { co_return; });
      task.add_done_callback(throws);
      while (reports.size() < 6)
        co_await siding::sleep(1ms);
      loop.remove_signal_handler(SIGUSR1);
      for (const auto& report : reports.all())
        CHECK(report.error == "int");
      loop.set_exception_handler({});
    });
  }

  // CC-008
  TEST_CASE("the errors of an exception handler are logged, and the loop goes on") {
    const LogCapture log;
    siding::run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      loop.set_exception_handler([](const siding::ErrorReport&) { throw_seven(); });
      loop.call_soon([] { throw_seven(); });
      siding::run_in_executor(nullptr, [] { throw_seven(); });  // nobody looks at the error
      co_await siding::to_thread([] {});
      co_await turns(3);
    });
    CHECK(log.lines().size() >= 2);
    for (const std::string& line : log.lines())
      CHECK(contains(line, ": int"));
  }

  // CC-008
  TEST_CASE("the errors of hooks for other processes fail their calls, for plain threads and for loops") {
    ProcessPool pool{{.max_workers = 1}};
    constexpr int write = static_cast<int>(Fragile::At::write);
    constexpr int read = static_cast<int>(Fragile::At::read);
    const auto fails = [](const auto& call) {
      CHECK_THROWS(call.get(hang_limit));
      CHECK_FALSE(call.cancelled());
    };
    fails(pool.submit(take_fragile, Fragile{Fragile::At::write}));
    fails(pool.submit(take_fragile, Fragile{Fragile::At::read}));
    fails(pool.submit(make_fragile, write));
    fails(pool.submit(make_fragile, read));
    fails(pool.submit(throw_fragile, write));
    fails(pool.submit(throw_fragile, read));
    siding::run([&]() -> Task<> {
      for (const int at : {write, read}) {
        const auto argument = siding::create_task(
            siding::offload(pool, take_fragile, Fragile{static_cast<Fragile::At>(at)}));
        const auto result = siding::create_task(siding::offload(pool, make_fragile, at));
        const auto error = siding::create_task(siding::offload(pool, throw_fragile, at));
        const auto argument_ended = co_await siding::wait(argument);
        const auto result_ended = co_await siding::wait(result);
        const auto error_ended = co_await siding::wait(error);
        CHECK(argument.exception() != nullptr);
        CHECK(result.exception() != nullptr);
        CHECK(error.exception() != nullptr);
      }
    });
    CHECK(pool.submit(take_fragile, Fragile{}).get(hang_limit) == 1);
  }

  // CC-008
  TEST_CASE("the errors of an executor of a user's own reach who called, or the log") {
    const LogCapture log;
    ThrowingExecutor refuses(false);
    CHECK_THROWS_AS(refuses.submit([] {}), int);
    ThrowingExecutor takes(true);
    CHECK(takes.submit([] { return 1; }).get(hang_limit) == 1);  // it was taken: logged
    siding::run([&]() -> Task<> {
      bool thrown = false;
      try {
        co_await siding::offload(refuses, [] {});
      } catch (int) {
        thrown = true;
      }
      CHECK(thrown);
      EventLoop::current().set_default_executor(std::make_shared<ThrowingExecutor>(false));
    });
    const std::vector<std::string> lines = log.lines();
    REQUIRE(lines.size() == 3);
    CHECK(contains(lines[0], "an executor's enqueue() threw although it had taken the job: int"));
    CHECK(contains(lines[1], "ending a run failed"));
    CHECK(contains(lines[2], ": int"));  // it was asked once more when the loop was closed
  }

  // CC-008
  TEST_CASE("the end of a run says that an executor of a user's own is stuck, although it throws") {
    const LogCapture log;
    siding::run(
        []() -> Task<> {
          EventLoop::current().set_default_executor(std::make_shared<StuckExecutor>());
          co_return;
        },
        {.executor_join_limit = 1ms});
    REQUIRE(log.lines().size() == 1);
    CHECK(contains(log.lines()[0], "did not end within executor_join_limit; "));
  }
}

}  // namespace siding_test::hooks_test
