// SPDX-License-Identifier: MIT
// What cancelling an offloaded call does, cell by cell: waited for, abandoned, or a future; queued
// or running; with and without a stop token; on executors that can give a job back and on others.

#include <siding/create_task.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/sleep.hpp>
#include <siding/testing/virtual_clock.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/counted.hpp"
#include "support/executors.hpp"
#include "support/gate.hpp"
#include "support/held_executor.hpp"
#include "support/leak_guard.hpp"
#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"

namespace siding_test::offload_cancel_test {
namespace {

using namespace std::chrono_literals;
using siding::CallOptions;
using siding::Cancelled;
using siding::create_task;
using siding::EventLoop;
using siding::Executor;
using siding::Future;
using siding::OnCancel;
using siding::Task;
using siding::ThreadPool;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::HeldExecutor;
using siding_test::LeakGuard;
using siding_test::Reports;
using siding_test::turns;
using siding_test::Withdraws;

/// How a call is made.
enum class Way { waited_for, abandoned, future };
constexpr Way ways[] = {Way::waited_for, Way::abandoned, Way::future};

/// What the function of a call is like.
enum class Fn { passes_gate, takes_token, throws_after_gate };

std::string text(Way way) {
  constexpr const char* names[] = {"waited for", "abandoned", "future"};
  return names[static_cast<int>(way)];
}
std::string text(Fn fn) {
  constexpr const char* names[] = {"passes a gate", "takes a token", "throws after a gate"};
  return names[static_cast<int>(fn)];
}

/// What the call of one case uses, and what became of it.
struct Work {
  Gate gate;
  Counts arguments;
  Counts results;
  std::atomic<int> calls{0};
};

Counted pass_gate(Work* work, const Counted& argument) {
  ++work->calls;
  pass(work->gate.key());
  return Counted(work->results, argument.value());
}
Counted wait_for_stop(std::stop_token token, Work* work, const Counted& argument) {
  ++work->calls;
  arrive(work->gate.key());
  std::atomic<bool> stopped{false};
  const std::stop_callback wake(token, [&stopped] {
    stopped = true;
    stopped.notify_one();
  });
  stopped.wait(false);
  pass(work->gate.key());
  return Counted(work->results, argument.value());
}
Counted throw_after_gate(Work* work, const Counted&) {
  ++work->calls;
  pass(work->gate.key());
  throw std::runtime_error("too late");
}

template <class F>
Task<int> call_with(Way way, Executor& executor, Work& work, F fn) {
  CallOptions options{.name = "the call"};
  if (way == Way::future) {
    auto future = siding::run_in_executor(executor, options, fn, &work, Counted(work.arguments, 7));
    const Counted& result = co_await future;
    co_return result.value();
  }
  if (way == Way::abandoned) options.on_cancel = OnCancel::abandon;
  auto offloaded = siding::offload(executor, options, fn, &work, Counted(work.arguments, 7));
  const Counted result = co_await offloaded;
  co_return result.value();
}

Task<int> call(Way way, Fn fn, Executor& executor, Work& work) {
  if (fn == Fn::takes_token) return call_with(way, executor, work, wait_for_stop);
  if (fn == Fn::throws_after_gate) return call_with(way, executor, work, throw_after_gate);
  return call_with(way, executor, work, pass_gate);
}

/// One worker, with or without a way to give queued jobs back.
std::vector<std::unique_ptr<Executor>> one_worker_executors() {
  std::vector<std::unique_ptr<Executor>> executors;
  executors.push_back(std::make_unique<siding_test::OneThread>());
  executors.push_back(std::make_unique<siding_test::FewThreads>(1));
  executors.push_back(std::make_unique<ThreadPool>(siding::ThreadPoolOptions{.max_workers = 1}));
  return executors;
}

/// Cancels a call that is queued; the executor comes by later.
void cancel_queued(Way way, Fn fn, Withdraws withdraws) {
  INFO(text(way), ", ", text(fn), ", withdraws: ", withdraws == Withdraws::yes);
  Work work;
  HeldExecutor executor(withdraws);
  EventLoop loop;
  const Reports reports(loop);

  loop.run_until_complete([&]() -> Task<> {
    const Future<int> caller = create_task(call(way, fn, executor, work));
    co_await turns(1);
    REQUIRE(executor.held() == 1);

    CHECK(caller.cancel());
    co_await turns(3);

    const bool must_wait = way == Way::waited_for && withdraws == Withdraws::no;
    CHECK(caller.done() == !must_wait);
    CHECK(work.arguments.alive() == (must_wait ? 1 : 0));
    while (siding::Job job = executor.take())
      job.run();
    co_await turns(3);
    CHECK(caller.cancelled());
  });

  CHECK(work.calls == 0);
  CHECK(work.arguments.alive() == 0);
  CHECK(work.results.made == 0);
  CHECK(reports.size() == 0);
}

/// Cancels a call that runs in `executor`, `times` times. The function returns, or throws, only
/// afterwards; one with a token has been told by then.
void cancel_running(Way way, Fn fn, std::unique_ptr<Executor> executor, Work& work,
                    const Reports& reports, EventLoop& loop, int times = 1) {
  INFO(text(way), ", ", text(fn));
  loop.run_until_complete([&]() -> Task<> {
    const Future<int> caller = create_task(call(way, fn, *executor, work));
    co_await turns(1);
    work.gate.wait_for_arrivals(1);

    const bool waits = way == Way::waited_for;
    for (int i = 0; i < times; ++i)
      CHECK(caller.cancel());
    if (fn == Fn::takes_token) work.gate.wait_for_arrivals(2);
    co_await turns(3);
    CHECK(caller.done() == !waits);
    CHECK(work.arguments.alive() == 1);
    CHECK(work.results.made == 0);
    work.gate.open();
    co_await siding::wait(caller);

    CHECK(caller.cancelled());
    if (waits) CHECK(work.arguments.alive() == 0);
    executor->shutdown();
    co_await turns(3);  // for a report that a worker has sent
  });

  CHECK(work.calls == 1);
  CHECK(work.arguments.alive() == 0);
  CHECK(work.results.alive() == 0);
  CHECK((work.results.made > 0) == (fn != Fn::throws_after_gate));
  CHECK(reports.size() == (fn == Fn::throws_after_gate ? 1 : 0));
}

void cancel_running_everywhere(Way way, Fn fn, int times = 1) {
  for (std::unique_ptr<Executor>& executor : one_worker_executors()) {
    Work work;
    EventLoop loop;
    const Reports reports(loop);
    cancel_running(way, fn, std::move(executor), work, reports, loop, times);
  }
}

}  // namespace

TEST_SUITE("offload: cancelling a queued call") {
  // RX-007
  TEST_CASE("ends the await at once, and the function is never called") {
    const LeakGuard guard;
    for (const Way way : ways) {
      for (const Fn fn : {Fn::passes_gate, Fn::takes_token}) {
        cancel_queued(way, fn, Withdraws::yes);
      }
    }
  }

  TEST_CASE("on an executor that cannot give a job back, only an abandoning caller ends at once") {
    const LeakGuard guard;
    for (const Way way : ways) {
      for (const Fn fn : {Fn::passes_gate, Fn::takes_token}) {
        cancel_queued(way, fn, Withdraws::no);
      }
    }
  }

  // RX-007
  TEST_CASE("prevents a call of to_thread that waits for a worker of the default pool") {
    Work work;
    std::atomic<bool> called{false};
    EventLoop loop;
    loop.set_default_executor(
        std::make_shared<ThreadPool>(siding::ThreadPoolOptions{.max_workers = 1}));

    loop.run_until_complete([&]() -> Task<> {
      const Future<int> busy =
          create_task(call(Way::waited_for, Fn::passes_gate, *loop.default_executor(), work));
      co_await turns(1);
      const Future<> caller = create_task(
          [&]() -> Task<> { co_await siding::to_thread([&called] { called = true; }); });
      co_await turns(1);

      caller.cancel();
      co_await turns(3);

      CHECK(caller.cancelled());
      work.gate.open();
      const int value = co_await busy;
      CHECK(value == 7);
      co_await loop.shutdown_default_executor();
    });

    CHECK_FALSE(called);
  }

  TEST_CASE("before it is awaited submits nothing") {
    HeldExecutor executor;
    EventLoop loop;
    loop.run_until_complete([&]() -> Task<> {
      const Future<> caller = create_task([&]() -> Task<> {
        siding::current_task().cancel();
        co_await siding::offload(executor, [] {});
      });
      co_await siding::wait(caller);
      CHECK(caller.cancelled());
      CHECK(executor.held() == 0);
    });
  }

  TEST_CASE("leaves the jobs around it in the executor's queue") {
    HeldExecutor executor;
    std::vector<int> called;
    EventLoop loop;

    loop.run_until_complete([&]() -> Task<> {
      std::vector<Future<>> callers;
      for (int i = 0; i < 3; ++i) {
        callers.push_back(create_task([&executor, &called, i]() -> Task<> {
          co_await siding::offload(executor, [&called, i] { called.push_back(i); });
        }));
      }
      co_await turns(1);
      callers[1].cancel();
      co_await turns(3);

      CHECK(executor.held() == 2);
      while (siding::Job job = executor.take())
        job.run();
      co_await siding::wait(callers);
    });

    CHECK(called == std::vector<int>{0, 2});
  }
}

TEST_SUITE("offload: cancelling a running call") {
  // RX-009
  TEST_CASE("waits until the function has returned, and drops what it returned") {
    const LeakGuard guard;
    cancel_running_everywhere(Way::waited_for, Fn::passes_gate);
  }

  // RX-009
  TEST_CASE("keeps the caller's locals until the function has written to them") {
    const LeakGuard guard;
    for (std::unique_ptr<Executor>& executor : one_worker_executors()) {
      Gate gate;
      int seen = 0;
      EventLoop loop;
      loop.run_until_complete([&]() -> Task<> {
        const Future<> caller = create_task([&]() -> Task<> {
          int local = 0;
          auto write = [&local, key = gate.key()] {
            pass(key);
            local = 7;
          };
          try {
            co_await siding::offload(*executor, write);
          } catch (const Cancelled&) {
            seen = local;
            throw;
          }
        });
        co_await turns(1);
        gate.wait_for_arrivals(1);

        CHECK(caller.cancel());
        co_await turns(3);

        CHECK_FALSE(caller.done());
        gate.open();
        co_await siding::wait(caller);
        CHECK(caller.cancelled());
        CHECK(seen == 7);
      });
    }
  }

  // RX-009, RX-010
  TEST_CASE("asks a function that takes a stop token to stop, and waits for it") {
    const LeakGuard guard;
    cancel_running_everywhere(Way::waited_for, Fn::takes_token);
  }

  // RX-008
  TEST_CASE("frees an abandoning awaiter at once; the function runs on with its own copies") {
    const LeakGuard guard;
    cancel_running_everywhere(Way::abandoned, Fn::passes_gate);
    cancel_running_everywhere(Way::abandoned, Fn::takes_token);
  }

  // RX-008
  TEST_CASE("cancels the future of run_in_executor at once; the function runs on") {
    const LeakGuard guard;
    cancel_running_everywhere(Way::future, Fn::passes_gate);
    cancel_running_everywhere(Way::future, Fn::takes_token);
  }

  TEST_CASE("twice is the same as once") {
    cancel_running_everywhere(Way::waited_for, Fn::passes_gate, 2);
    cancel_running_everywhere(Way::waited_for, Fn::takes_token, 2);
  }

  // RX-012
  TEST_CASE("hands what the function then throws to the exception handler, once") {
    for (const Way way : ways)
      cancel_running_everywhere(way, Fn::throws_after_gate);
  }

  // RX-012
  TEST_CASE("names an abandoned call in the report of what it threw") {
    for (const Way way : {Way::abandoned, Way::future}) {
      Work work;
      EventLoop loop;
      const Reports reports(loop);
      cancel_running(way, Fn::throws_after_gate, std::make_unique<ThreadPool>(), work, reports,
                     loop);

      REQUIRE(reports.size() == 1);
      CHECK(reports[0].error == "std::runtime_error: too late");
      CHECK(reports[0].source == "the call");
    }
  }

  TEST_CASE("writes what an abandoned function throws after its loop is gone to the log, once") {
    const siding_test::LogCapture log;
    Work work;
    ThreadPool executor;
    {
      EventLoop loop;
      loop.run_until_complete([&]() -> Task<> {
        const Future<int> caller =
            create_task(call(Way::abandoned, Fn::throws_after_gate, executor, work));
        co_await turns(1);
        work.gate.wait_for_arrivals(1);
        caller.cancel();
        co_await siding::wait(caller);
      });
    }
    work.gate.open();
    executor.shutdown();

    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines()[0].find("too late") != std::string::npos);
    CHECK(log.lines()[0].find("the call") != std::string::npos);
    CHECK(work.arguments.alive() == 0);
  }

  TEST_CASE("takes the reason along") {
    Work work;
    ThreadPool executor;
    EventLoop loop;
    std::string reason;
    loop.run_until_complete([&]() -> Task<> {
      const Future<> caller = create_task([&]() -> Task<> {
        try {
          co_await call(Way::abandoned, Fn::passes_gate, executor, work);
        } catch (const Cancelled& cancelled) {
          reason = cancelled.reason();
        }
      });
      co_await turns(1);
      work.gate.wait_for_arrivals(1);
      caller.cancel({.reason = "no longer wanted"});
      co_await siding::wait(caller);
      work.gate.open();
    });
    CHECK(reason == "no longer wanted");
  }
}

}  // namespace siding_test::offload_cancel_test
