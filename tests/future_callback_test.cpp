// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counted.hpp"
#include "support/gate.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/turns.hpp"

namespace siding_test::future_callback_test {
namespace {

using siding::AnyFuture;
using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding_test::Counted;
using siding_test::Counts;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::LogCapture;
using siding_test::pass;
using siding_test::pass_with;
using siding_test::Reports;

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

int fail_with(const char* text) { throw std::runtime_error(text); }

}  // namespace

TEST_SUITE("Future callbacks") {
  // FU-007
  TEST_CASE("callbacks run once each, in the order they were added, with the done future") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    std::vector<int> order;
    const auto call = pool.submit(pass_with, gate.key(), 5);

    call.add_done_callback([&](const Future<int>& future) {
      if (future.done() && future.result() == 5 && future == call) order.push_back(1);
    });
    call.add_done_callback([&](const AnyFuture& future) {
      if (future.done()) order.push_back(2);
    });
    call.add_done_callback([&] {
      if (call.done()) order.push_back(3);
    });
    CHECK(order.empty());
    gate.open();
    pool.shutdown();

    CHECK(order == std::vector{1, 2, 3});
  }

  // FU-008
  TEST_CASE("a callback that is added when the future is done runs at once") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto finished = pool.submit(pass_with, gate.key(), 5);
    const auto failed = pool.submit(fail_with, "boom");
    const auto cancelled = pool.submit(pass_with, gate.key(), 6);
    CHECK(cancelled.cancel());
    gate.open();
    pool.shutdown();

    std::vector<std::thread::id> ran;
    for (const Future<int>& future : {finished, failed, cancelled}) {
      future.add_done_callback([&] { ran.push_back(std::this_thread::get_id()); });
    }

    CHECK(ran == std::vector(3, std::this_thread::get_id()));
    CHECK(failed.exception() != nullptr);
  }

  // FU-009
  TEST_CASE(
      "callbacks of a cancelled future run in the thread that cancels, before cancel() ends") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);
    const auto call = pool.submit(pass, gate.key());
    std::thread::id ran_in;
    call.add_done_callback([&] { ran_in = std::this_thread::get_id(); });

    std::thread::id canceller_id;
    std::thread::id ran_before_return;
    std::thread canceller([&] {
      canceller_id = std::this_thread::get_id();
      call.cancel();
      ran_before_return = ran_in;
    });
    canceller.join();

    CHECK(ran_before_return == canceller_id);
  }

  TEST_CASE("callbacks that were added off a loop run in the worker that ends the call") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit([key = gate.key()] {
      pass(key);
      return std::this_thread::get_id();
    });
    std::thread::id ran_in;

    call.add_done_callback([&] { ran_in = std::this_thread::get_id(); });
    gate.open();
    pool.shutdown();

    CHECK(ran_in == call.result());
    CHECK(ran_in != std::this_thread::get_id());
  }

  // FU-010
  TEST_CASE("a callback that throws is reported and disturbs neither the others nor the result") {
    const LogCapture log;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(siding::CallOptions{.name = "resize"}, pass_with, gate.key(), 5);
    bool recorded = false;

    call.add_done_callback([] { throw std::runtime_error("from the callback"); });
    call.add_done_callback([&] { recorded = true; });
    gate.open();
    pool.shutdown();

    CHECK(recorded);
    CHECK(call.result() == 5);
    const auto lines = log.lines();
    REQUIRE(lines.size() == 1);
    CHECK(contains(lines[0], "a done-callback threw"));
    CHECK(contains(lines[0], "from the callback"));
    CHECK(contains(lines[0], "resize"));
  }

  TEST_CASE("a callback that was removed is destroyed at once and does not run") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass, gate.key());
    std::vector<int> ran;

    call.add_done_callback([&] { ran.push_back(1); });
    const auto removed =
        call.add_done_callback([&, counted = Counted(counts)] { ran.push_back(2); });
    call.add_done_callback([&] { ran.push_back(3); });
    CHECK(counts.alive() == 1);
    CHECK(call.remove_done_callback(removed));
    CHECK(counts.alive() == 0);
    CHECK_FALSE(call.remove_done_callback(removed));
    gate.open();
    pool.shutdown();

    CHECK(ran == std::vector{1, 3});
  }

  // AF-003
  TEST_CASE("a function that was added twice has two ids, each of which removes one") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass, gate.key());
    std::vector<int> ran;
    const auto function = [&ran] { ran.push_back(1); };

    const auto once = call.add_done_callback(function);
    const auto twice = call.add_done_callback(function);
    call.add_done_callback([&ran] { ran.push_back(2); });
    CHECK(once.value != twice.value);
    CHECK(call.remove_done_callback(once));
    CHECK_FALSE(call.remove_done_callback(once));
    CHECK(call.remove_done_callback(twice));
    gate.open();
    pool.shutdown();

    CHECK(ran == std::vector{2});
  }

  TEST_CASE("a callback that has run, is about to, or is of another future cannot be removed") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass, gate.key());
    const auto other = pool.submit(pass, gate.key());
    std::optional<AnyFuture::CallbackId> second;
    std::vector<int> ran;
    bool removed = true;

    const auto first = call.add_done_callback([&] {
      removed = call.remove_done_callback(*second);
      ran.push_back(1);
    });
    second = call.add_done_callback([&] { ran.push_back(2); });
    CHECK_FALSE(other.remove_done_callback(first));
    gate.open();
    pool.shutdown();

    CHECK_FALSE(removed);
    CHECK(ran == std::vector{1, 2});
    CHECK_FALSE(call.remove_done_callback(first));
  }

  // CC-002
  TEST_CASE("a callback need only be movable, and is destroyed when it has run") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass, gate.key());
    int seen = 0;

    call.add_done_callback(
        [&, counted = Counted(counts), five = std::make_unique<int>(5)] { seen = *five; });
    gate.open();
    pool.shutdown();

    CHECK(seen == 5);
    CHECK(counts.alive() == 0);
    CHECK(counts.copied == 0);
  }

  TEST_CASE("a callback may drop the last handle, and add another callback") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    auto call = std::make_unique<Future<int>>(pool.submit(pass_with, gate.key(), 5));
    int seen = 0;

    call->add_done_callback([&](const Future<int>& future) {
      call.reset();
      future.add_done_callback([&](const Future<int>& same) { seen = same.result(); });
    });
    gate.open();
    pool.shutdown();

    CHECK(seen == 5);
  }

  TEST_CASE("a callback that is added on a loop's thread runs there, posted") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass, gate.key());
    const auto loop_thread = std::this_thread::get_id();
    std::vector<int> order;

    siding::run([&]() -> Task<> {
      call.add_done_callback([&] {
        order.push_back(1);
        CHECK(std::this_thread::get_id() == loop_thread);
      });
      call.add_done_callback([&] { order.push_back(2); });
      gate.open();
      while (!call.done())
        std::this_thread::yield();
      CHECK(order.empty());
      while (order.size() < 2)
        co_await siding::yield();

      // Posted also where the future is done already.
      call.add_done_callback([&] { order.push_back(3); });
      CHECK(order.size() == 2);
      co_await siding_test::turns(2);
      CHECK(order.size() == 3);
    });

    CHECK(order == std::vector{1, 2, 3});
  }

  TEST_CASE("a callback for a loop that is gone is destroyed unrun") {
    Counts counts;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    const auto call = pool.submit(pass_with, gate.key(), 5);
    bool ran = false;

    siding::run([&]() -> Task<> {
      call.add_done_callback([&, counted = Counted(counts)] { ran = true; });
      co_return;
    });
    gate.open();
    pool.shutdown();

    CHECK_FALSE(ran);
    CHECK(counts.alive() == 0);
    CHECK(call.result() == 5);
  }

  TEST_CASE("what a callback on a loop throws goes to the loop's exception handler") {
    siding::EventLoop loop;
    const Reports reports(loop);
    ThreadPool pool{{.max_workers = 1}};
    const auto call = pool.submit([] { return 5; });

    loop.run_until_complete([&]() -> Task<> {
      call.add_done_callback([] { throw std::runtime_error("from the callback"); });
      while (reports.size() == 0)
        co_await siding::yield();
    });

    REQUIRE(reports.size() == 1);
    CHECK(reports[0].error == "std::runtime_error: from the callback");
  }
}

TEST_SUITE("Future errors") {
  // DB-005
  TEST_CASE("an error that nobody looks at is logged once, when the last handle goes") {
    const LogCapture log;
    ThreadPool pool{{.max_workers = 1}};

    {
      const auto call = pool.submit(siding::CallOptions{.name = "resize"}, fail_with, "boom");
      const auto copy = call;
      pool.shutdown();
      CHECK(log.lines().empty());
    }

    const auto lines = log.lines();
    REQUIRE(lines.size() == 1);
    CHECK(contains(lines[0], "never looked at"));
    CHECK(contains(lines[0], "std::runtime_error: boom"));
    CHECK(contains(lines[0], "resize"));
  }

  // DB-005
  TEST_CASE("an error of a call whose future was dropped before it is logged once") {
    const LogCapture log;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;

    pool.submit([key = gate.key()] {
      pass(key);
      throw std::runtime_error("boom");
    });
    gate.open();
    pool.shutdown();

    REQUIRE(log.lines().size() == 1);
    CHECK(contains(log.lines()[0], "boom"));
  }

  TEST_CASE("an error that was looked at in any way is not logged") {
    const LogCapture log;
    ThreadPool pool{{.max_workers = 1}};

    CHECK_THROWS(pool.submit(fail_with, "get").get(hang_limit));
    CHECK_THROWS(static_cast<void>(pool.submit(fail_with, "rvalue").get(hang_limit)));
    {
      const auto call = pool.submit(fail_with, "exception()");
      const auto copy = call;
      while (!call.done())
        std::this_thread::yield();
      CHECK(copy.exception() != nullptr);
    }
    siding::run([&]() -> Task<> {
      bool thrown = false;
      try {
        co_await pool.submit(fail_with, "await");
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      CHECK(thrown);
    });
    pool.shutdown();

    CHECK(log.lines().empty());
  }

  TEST_CASE("nobody has to look at a value, at a cancellation or at a refusal") {
    const LogCapture log;
    {
      ThreadPool pool{{.max_workers = 1}};
      Gate gate;
      pool.submit(pass_with, gate.key(), 5);
      gate.wait_for_arrivals(1);
      pool.submit(pass_with, gate.key(), 5).cancel();
      pool.shutdown({.wait = false});
      CHECK_THROWS_AS(pool.submit(fail_with, "refused"), siding::ShutdownError);
    }

    CHECK(log.lines().empty());
  }

  TEST_CASE("an error of a call that was started on a loop goes to its exception handler") {
    const LogCapture log;
    siding::EventLoop loop;
    const Reports reports(loop);
    ThreadPool pool{{.max_workers = 1}};

    loop.run_until_complete([&]() -> Task<> {
      siding::run_in_executor(pool, siding::CallOptions{.name = "resize"}, fail_with, "boom");
      while (reports.size() == 0)
        co_await siding::yield();
    });

    REQUIRE(reports.size() == 1);
    CHECK(reports[0].error == "std::runtime_error: boom");
    CHECK(reports[0].source == "resize");
    CHECK(log.lines().empty());
  }

  TEST_CASE("an error whose loop is gone is logged") {
    const LogCapture log;
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;

    siding::run([&]() -> Task<> {
      siding::run_in_executor(pool, [key = gate.key()] {
        pass(key);
        throw std::runtime_error("boom");
      });
      co_return;
    });
    gate.open();
    pool.shutdown();

    REQUIRE(log.lines().size() == 1);
    CHECK(contains(log.lines()[0], "boom"));
  }
}

}  // namespace siding_test::future_callback_test
