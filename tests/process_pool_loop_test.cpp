// SPDX-License-Identifier: MIT
// Process pools under event loops: where results arrive, and what cancelling does.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"

namespace siding_test::process_pool_loop_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::create_task;
using siding::Future;
using siding::OnCancel;
using siding::Task;

using Pool = PoolSubject;

int own_pid() { return ::getpid(); }
int square(int n) { return n * n; }
int fail(int n) {
  if (n == 2) throw std::out_of_range("k");
  return n;
}
int pass_and_pid(GateKey key) {
  pass(key);
  return ::getpid();
}
void stall(GateKey arrivals) {
  arrive(arrivals);
  for (;;) ::pause();
}
int until_stopped(std::stop_token token, GateKey begun, GateKey stopped) {
  arrive(begun);
  while (!token.stop_requested()) std::this_thread::sleep_for(100us);
  arrive(stopped);
  return 1;
}
void ignore_stop(std::stop_token, GateKey begun) {
  arrive(begun);
  for (;;) ::pause();
}

bool lives(int pid) { return ::kill(pid, 0) == 0; }

Task<> expect_cancelled(Future<void> caller) {
  co_await siding::wait(caller);
  CHECK(caller.cancelled());
}

TEST_SUITE("ProcessPool under a loop") {
  // RX-002, RX-004, RX-015
  TEST_CASE("results and errors arrive on the loop's thread, by offload, future and submit") {
    const Pool pool(2);
    siding::run([&]() -> Task<> {
      const auto here = std::this_thread::get_id();
      CHECK(co_await siding::offload(*pool, square, 12) == 144);
      CHECK(std::this_thread::get_id() == here);
      CHECK(co_await siding::run_in_executor(*pool, square, 3) == 9);
      CHECK(co_await pool->submit(square, 4) == 16);
      auto failed = siding::run_in_executor(*pool, fail, 2);
      co_await siding::wait(failed);
      CHECK_THROWS_WITH_AS(failed.result(), "k", std::out_of_range);
      bool caught = false;
      try {
        co_await siding::offload(*pool, fail, 2);
      } catch (const std::out_of_range& error) {
        caught = error.what() == std::string("k");
      }
      CHECK(caught);
    });
  }

  // RX-003
  TEST_CASE("the loop goes on while a call runs in a process") {
    const Pool pool(1);
    Gate gate;
    siding::run([&]() -> Task<> {
      auto call = siding::run_in_executor(*pool, pass_with, gate.key(), 5);
      co_await turns(1);
      gate.wait_for_arrivals(1);
      for (int i = 0; i < 50; ++i) co_await siding::sleep(100us);
      CHECK_FALSE(call.done());
      gate.open();
      CHECK(co_await call == 5);
    });
  }

  TEST_CASE("to_process uses a pool that the loop makes, and run() closes") {
    const KeptForGood kept;
    const LeakGuard guard;
    const int pid = siding::run([]() -> Task<int> {
      const int first = co_await siding::to_process(own_pid);
      CHECK(first != ::getpid());
      CHECK(co_await siding::to_process({.name = "sum"}, [](int a, int b) { return a + b; }, 2, 3) == 5);
      co_return first;
    });
    CHECK_FALSE(lives(pid));
  }

  TEST_CASE("to_thread refuses a process pool as the default executor, and says what to call") {
    const KeptForGood kept;
    const LeakGuard guard;
    siding::run([]() -> Task<> {
      const std::shared_ptr<siding::Executor> none =
          siding::EventLoop::current().set_default_executor(std::make_shared<siding::ProcessPool>());
      CHECK(none == nullptr);
      std::string text;
      try {
        co_await siding::to_thread(own_pid);
      } catch (const siding::NotPortable& error) {
        text = error.what();
      }
      CHECK(text.find("use offload()") != std::string::npos);
    });
  }

  // RX-022
  TEST_CASE("several loops and plain threads share one pool, and each gets its own results") {
    const Pool pool(2);
    std::vector<std::thread> threads;
    std::vector<int> wrong(6);
    for (std::size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([&, t] {
        if (t % 3 == 2) {
          for (int i = 0; i < 300; ++i) wrong[t] += pool->submit(square, i).get() != i * i;
          return;
        }
        siding::run([&]() -> Task<> {
          for (int i = 0; i < 300; ++i) {
            const int got = co_await siding::offload(*pool, square, i);
            wrong[t] += got != i * i;
          }
        });
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int count : wrong) CHECK(count == 0);
  }

  TEST_CASE("more loops than channels share one pool") {
    const Pool pool(1);
    std::vector<std::unique_ptr<siding::Runner>> runners;
    for (int n = 0; n < 20; ++n) {
      runners.push_back(std::make_unique<siding::Runner>());
      CHECK(runners.back()->run([&]() -> Task<int> {
        co_return co_await siding::offload(*pool, square, n);
      }) == n * n);
    }
  }

  TEST_CASE("a result arrives also when its loop has stopped running, or is closed") {
    const Pool pool(1);
    Gate gate;
    siding::EventLoop loop;
    std::optional<Future<int>> future;
    loop.run_until_complete([&]() -> Task<> {
      future = siding::run_in_executor(*pool, pass_with, gate.key(), 7);
      co_await turns(2);
    }());
    gate.open();
    CHECK(value_of(*future) == 7);

    loop.run_until_complete([&]() -> Task<> {
      future = siding::run_in_executor(*pool, square, 8);
      co_return;
    }());
    loop.close();
    CHECK(value_of(*future) == 64);
  }

  TEST_CASE("a pool may end on the loop's own thread while calls that it awaits run") {
    const KeptForGood kept;
    const LeakGuard guard;
    siding::run([]() -> Task<> {
      std::optional<Future<int>> call;
      {
        siding::ProcessPool pool{{.max_workers = 1}};
        call = siding::run_in_executor(pool, square, 9);
      }
      CHECK(call->done());
      CHECK(co_await *call == 81);
    });
  }

  // RX-007
  TEST_CASE("a call that waits for its turn, also in a worker's own memory, is taken back at once") {
    const Pool pool(1);
    Gate blocker;
    Gate never;
    siding::run([&]() -> Task<> {
      auto first = siding::run_in_executor(*pool, pass_with, blocker.key(), 1);
      co_await turns(1);
      blocker.wait_for_arrivals(1);
      std::vector<Future<void>> callers;
      for (int i = 0; i < 5; ++i) {
        callers.push_back(create_task([&]() -> Task<> {
          co_await siding::offload(*pool, arrive, never.key());
        }));
      }
      std::vector<Future<void>> futures;
      for (int i = 0; i < 5; ++i) {
        futures.push_back(siding::run_in_executor(*pool, arrive, never.key()));
      }
      co_await turns(3);
      for (const auto& caller : callers) CHECK(caller.cancel());
      for (const auto& future : futures) {
        CHECK_FALSE(future.running());
        CHECK(future.cancel());
      }
      co_await turns(3);
      for (const auto& caller : callers) CHECK(caller.cancelled());
      for (const auto& future : futures) CHECK(future.cancelled());
      blocker.open();
      CHECK(co_await first == 1);
    });
    pool->shutdown();
    CHECK(never.arrivals() == 0);
  }

  // RX-009
  TEST_CASE("cancelling an awaited call that runs ends its worker, and then throws Cancelled") {
    const Pool pool(1);
    Gate begun;
    siding::run([&]() -> Task<> {
      const int pid = co_await siding::offload(*pool, own_pid);
      auto caller = create_task([&]() -> Task<> { co_await siding::offload(*pool, stall, begun.key()); });
      co_await turns(1);
      begun.wait_for_arrivals(1);
      CHECK(caller.cancel());
      co_await expect_cancelled(caller);
      CHECK_FALSE(lives(pid));
      CHECK(co_await siding::offload(*pool, own_pid) != pid);
    });
  }

  // RX-010
  TEST_CASE("a function that takes a stop token is asked first, and its worker lives on") {
    const Pool pool(siding::ProcessPoolOptions{.max_workers = 1, .cancel_grace = hang_limit});
    Gate begun;
    Gate stopped;
    siding::run([&]() -> Task<> {
      const int pid = co_await siding::offload(*pool, own_pid);
      auto caller = create_task([&]() -> Task<> {
        co_await siding::offload(*pool, until_stopped, begun.key(), stopped.key());
      });
      co_await turns(1);
      begun.wait_for_arrivals(1);
      caller.cancel();
      co_await expect_cancelled(caller);
      CHECK(stopped.arrivals() == 1);
      CHECK(co_await siding::offload(*pool, own_pid) == pid);
    });
  }

  TEST_CASE("one that does not stop within the grace loses its worker") {
    const Pool pool(siding::ProcessPoolOptions{.max_workers = 1, .cancel_grace = 10ms});
    Gate begun;
    siding::run([&]() -> Task<> {
      const int pid = co_await siding::offload(*pool, own_pid);
      auto caller = create_task(
          [&]() -> Task<> { co_await siding::offload(*pool, ignore_stop, begun.key()); });
      co_await turns(1);
      begun.wait_for_arrivals(1);
      caller.cancel();
      co_await expect_cancelled(caller);
      CHECK_FALSE(lives(pid));
    });
  }

  // RX-008
  TEST_CASE("a future is released at once, and the worker of its running call ends behind it") {
    const Pool pool(1);
    Gate begun;
    siding::run([&]() -> Task<> {
      const int pid = co_await siding::offload(*pool, own_pid);
      auto future = siding::run_in_executor(*pool, stall, begun.key());
      co_await turns(1);
      begun.wait_for_arrivals(1);
      CHECK(future.running());
      CHECK(future.cancel());
      CHECK(future.cancelled());
      CHECK(co_await siding::offload(*pool, own_pid) != pid);
    });
  }

  // RX-008
  TEST_CASE("an abandoned call releases its caller at once") {
    const Pool pool(siding::ProcessPoolOptions{.max_workers = 1, .cancel_grace = hang_limit});
    Gate begun;
    Gate stopped;
    siding::run([&]() -> Task<> {
      auto caller = create_task([&]() -> Task<> {
        co_await siding::offload(*pool, {.on_cancel = OnCancel::abandon}, until_stopped,
                                 begun.key(), stopped.key());
      });
      co_await turns(1);
      begun.wait_for_arrivals(1);
      caller.cancel();
      co_await turns(3);
      CHECK(caller.cancelled());
      stopped.wait_for_arrivals(1);
    });
  }

  // FU-003
  TEST_CASE("cancelling a running call of submit fails and changes nothing") {
    const Pool pool(1);
    Gate gate;
    const auto call = pool->submit(pass_and_pid, gate.key());
    gate.wait_for_arrivals(1);

    CHECK(call.running());
    CHECK_FALSE(call.cancel());
    gate.open();

    CHECK(value_of(call) > 0);
  }

  // RX-012
  TEST_CASE("what an abandoned function throws goes to the loop's exception handler") {
    const Pool pool(siding::ProcessPoolOptions{.max_workers = 1, .cancel_grace = hang_limit});
    Gate begun;
    std::string told;
    siding::run([&]() -> Task<> {
      siding::EventLoop::current().set_exception_handler([&](const siding::ErrorReport& report) {
        try {
          std::rethrow_exception(report.error);
        } catch (const std::runtime_error& error) {
          told = error.what();
        }
      });
      auto future = siding::run_in_executor(
          *pool,
          [](std::stop_token token, GateKey key) {
            arrive(key);
            while (!token.stop_requested()) std::this_thread::sleep_for(100us);
            throw std::runtime_error("late");
          },
          begun.key());
      co_await turns(1);
      begun.wait_for_arrivals(1);
      future.cancel();
      while (told.empty()) co_await siding::sleep(1ms);
    });
    CHECK(told == "late");
  }

  // RX-024
  TEST_CASE("wait_for ends a call in a process on time") {
    const Pool pool(1);
    Gate begun;
    siding::run([&]() -> Task<> {
      bool late = false;
      try {
        co_await siding::wait_for(siding::offload(*pool, stall, begun.key()), 50ms);
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
      CHECK(co_await siding::offload(*pool, square, 2) == 4);
    });
  }

  TEST_CASE("a loop that is closed under a running call ends its worker") {
    const Pool pool(1);
    Gate begun;
    {
      siding::EventLoop loop;
      loop.create_task([&]() -> Task<> { co_await siding::offload(*pool, stall, begun.key()); });
      loop.run_until_complete([&]() -> Task<> {
        co_await turns(2);
        begun.wait_for_arrivals(1);
      }());
      loop.close();
    }
    CHECK(value_of(pool->submit(square, 5)) == 25);
  }


  TEST_CASE("calls that are refused leave nothing behind") {
    const Pool pool(1);
    siding::Executor& any = *pool;
    siding::run([&]() -> Task<> {
      int local = 0;
      const auto refers = [&local] { return ++local; };
      bool refused = false;
      try {
        co_await siding::offload(any, refers);
      } catch (const siding::NotPortable& error) {
        refused = std::string(error.what()).find("closure with captures") != std::string::npos;
      }
      CHECK(refused);
      CHECK_THROWS_AS(siding::run_in_executor(any, refers), siding::NotPortable);
      CHECK_THROWS_AS(any.submit(refers), siding::NotPortable);
      CHECK(local == 0);
      CHECK(co_await siding::offload(any, square, 6) == 36);
    });
    pool->shutdown();
    CHECK_THROWS_AS(pool->submit(square, 1), siding::ShutdownError);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_loop_test
