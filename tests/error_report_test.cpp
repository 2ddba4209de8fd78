// SPDX-License-Identifier: MIT
// Errors that nobody can catch: what the exception handler of a loop is told, and what is logged.
#include <siding/error_report.hpp>

#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/log.hpp>
#include <siding/promise.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/log_capture.hpp"
#include "support/reports.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::error_report_test {
namespace {

using namespace std::chrono_literals;
using siding::ErrorReport;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding_test::LogCapture;
using siding_test::Reports;
using siding_test::VirtualLoop;

void throw_spam() { throw std::runtime_error("spam"); }

Task<int> fails() {
  co_await siding::yield();
  throw std::out_of_range("ham");
}

// Runs the loop until nothing is left that is ready or has a time.
void run_until_idle(VirtualLoop& virtual_loop) {
  virtual_loop.loop.run_until_complete([]() -> Task<> { co_await siding::sleep(1h); });
}

TEST_SUITE("ErrorReport") {
  // LP-009
  TEST_CASE("what a callback throws goes to the exception handler, and the loop goes on") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    const Reports reports(loop);
    int calls = 0;

    loop.call_soon(throw_spam);
    loop.call_soon([&] { ++calls; });
    loop.call_later(1s, throw_spam);
    loop.call_later(2s, [&] { ++calls; });
    loop.call_soon_threadsafe(throw_spam);
    loop.call_soon_threadsafe([&] { ++calls; });
    loop.call_soon([] { throw 5; });
    run_until_idle(virtual_loop);

    CHECK(calls == 3);
    REQUIRE(reports.size() == 4);
    for (const std::size_t i : {0U, 2U, 3U})
      CHECK(reports[i].error == "std::runtime_error: spam");
    CHECK(reports[0].message == "a scheduled callback threw");
    CHECK(reports[1].error == "int");
    CHECK(reports[2].message == "a callback of call_soon_threadsafe threw");
    CHECK(reports[3].message == "a scheduled callback threw");
    CHECK(reports[0].source.empty());
  }

  // LP-010
  TEST_CASE("a handler is given a text, the error, and the task or future concerned") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    std::vector<std::string> texts;
    std::vector<std::exception_ptr> errors;
    std::vector<siding::AnyFuture> sources;
    const LogCapture log;
    loop.set_exception_handler([&](const ErrorReport& report) {
      CHECK(EventLoop::current_or_null() == &loop);
      texts.emplace_back(report.message);
      errors.push_back(report.error);
      sources.push_back(report.source);
    });

    loop.call_soon(throw_spam);
    loop.create_task(fails(), {.name = "fetch"});
    loop.run_until_complete([]() -> Task<> {
      siding::Promise<int> promise;
      promise.set_exception(std::make_exception_ptr(std::domain_error("eggs")));
      co_return;
    });
    run_until_idle(virtual_loop);

    REQUIRE(texts.size() == 3);
    for (const std::string& text : texts)
      CHECK_FALSE(text.empty());
    CHECK_THROWS_AS(std::rethrow_exception(errors[0]), std::runtime_error);
    CHECK_FALSE(sources[0].valid());
    CHECK_THROWS_AS(std::rethrow_exception(errors[1]), std::domain_error);
    REQUIRE(sources[1].valid());
    CHECK(sources[1].exception() == errors[1]);
    CHECK_THROWS_AS(std::rethrow_exception(errors[2]), std::out_of_range);
    REQUIRE(sources[2].valid());
    CHECK(sources[2].name() == "fetch");
    sources.clear();             // of the last one the error is unread still
    CHECK(texts.size() == 3);    // a report is not made twice,
    CHECK(log.lines().empty());  // nor is it logged by the last handle
  }

  // LP-010
  TEST_CASE("without a handler, and after a reset, a line goes to the log") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    const LogCapture log;
    {
      const Reports reports(loop);
      loop.call_soon(throw_spam);
      run_until_idle(virtual_loop);
      CHECK(reports.size() == 1);
      CHECK(log.lines().empty());
      loop.set_exception_handler({});
    }

    loop.call_soon(throw_spam);
    loop.create_task(fails(), {.name = "fetch"});
    run_until_idle(virtual_loop);

    REQUIRE(log.lines().size() == 2);
    CHECK(log.lines()[0] == "a scheduled callback threw: std::runtime_error: spam");
    CHECK(
        log.lines()[1] ==
        "an error was never looked at: its future was dropped: std::out_of_range: ham (in fetch)");
  }

  // DB-009
  TEST_CASE("a log sink that throws disturbs neither the loop nor later callbacks") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    int lines = 0;
    int calls = 0;
    siding::set_log_sink([&](std::string_view) {
      ++lines;
      throw std::logic_error("broken sink");
    });

    for (int i = 0; i < 5; ++i) {
      loop.call_soon(throw_spam);
      loop.call_soon([&] { ++calls; });
    }
    run_until_idle(virtual_loop);
    siding::set_log_sink({});

    CHECK(lines == 5);
    CHECK(calls == 5);
  }

  TEST_CASE("a handler that throws is logged, with the error that it was told of") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    const LogCapture log;
    bool went_on = false;
    loop.set_exception_handler(
        [](const ErrorReport&) { throw std::logic_error("broken handler"); });

    loop.call_soon(throw_spam);
    loop.call_soon([&] { went_on = true; });
    run_until_idle(virtual_loop);

    CHECK(went_on);
    REQUIRE(log.lines().size() == 2);
    CHECK(log.lines()[0] ==
          "the exception handler of a loop threw: std::logic_error: broken handler");
    CHECK(log.lines()[1] == "a scheduled callback threw: std::runtime_error: spam");
  }

  TEST_CASE("a handler may replace itself") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    std::string told;
    loop.set_exception_handler(
        [&, name = std::string("first handler, quite a long name")](const ErrorReport&) {
          loop.set_exception_handler([&](const ErrorReport&) { told += "second"; });
          told += name;
        });

    loop.call_soon(throw_spam);
    loop.call_soon(throw_spam);
    run_until_idle(virtual_loop);

    CHECK(told == "first handler, quite a long namesecond");
  }

  // DB-004
  TEST_CASE("an error that nobody looked at is reported once, with the name of its task") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    auto body = []() -> Task<> {
      std::optional<Future<int>> handle = siding::create_task(fails(), {.name = "fetch"});
      std::optional<Future<int>> copy = handle;
      co_await siding::sleep(1s);
      CHECK(handle->done());
      handle.reset();
      co_await siding::sleep(1s);
    };

    virtual_loop.loop.run_until_complete(body);

    REQUIRE(reports.size() == 1);
    CHECK(reports[0].message == "an error was never looked at: its future was dropped");
    CHECK(reports[0].error == "std::out_of_range: ham");
    CHECK(reports[0].source == "fetch");
  }

  TEST_CASE("an error is not reported while a handle to it lives") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    auto body = [&]() -> Task<> {
      const Future<int> handle = siding::create_task(fails());
      co_await siding::sleep(1s);
      CHECK(handle.done());
      CHECK(reports.size() == 0);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(reports.size() == 1);
  }

  TEST_CASE("an error that somebody looked at in any way is not reported") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    auto body = []() -> Task<> {
      const Future<int> awaited = siding::create_task(fails());
      CHECK_THROWS_AS(co_await awaited, std::out_of_range);

      const Future<int> read = siding::create_task(fails());
      const Future<int> asked = siding::create_task(fails());
      const siding::AnyFuture erased = siding::create_task(fails());
      co_await siding::sleep(1s);
      CHECK_THROWS_AS(read.result(), std::out_of_range);
      CHECK(asked.exception() != nullptr);
      CHECK_THROWS_AS(co_await erased, std::out_of_range);
    };

    virtual_loop.loop.run_until_complete(body);
    run_until_idle(virtual_loop);

    CHECK(reports.size() == 0);
  }

  TEST_CASE("a cancellation that nobody looked at is no error") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    const LogCapture log;
    auto body = []() -> Task<> {
      siding::create_task([]() -> Task<> { co_await siding::sleep(1h); }).cancel();
      siding::Promise<int>().set_cancelled();
      co_await siding::sleep(1s);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(reports.size() == 0);
    CHECK(log.lines().empty());
  }

  // LP-010
  TEST_CASE("what a done-callback throws is reported with its future, and the others are called") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    std::string calls;
    auto body = [&]() -> Task<> {
      const Future<> task = siding::create_task([]() -> Task<> { co_return; }, {.name = "fetch"});
      task.add_done_callback([&] { calls += 'a'; });
      task.add_done_callback([] { throw_spam(); });
      task.add_done_callback([&] { calls += 'b'; });
      co_await siding::sleep(1s);
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK(calls == "ab");
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].message == "a done-callback threw");
    CHECK(reports[0].error == "std::runtime_error: spam");
    CHECK(reports[0].source == "fetch");
  }

  TEST_CASE("an unread error of a promise is told to the loop on which the promise was made") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    auto body = []() -> Task<> {
      siding::Promise<int> promise;
      std::thread([promise = std::move(promise)]() mutable {
        promise.set_exception(std::make_exception_ptr(std::domain_error("eggs")));
      }).join();
      co_await siding::sleep(1s);
    };

    virtual_loop.loop.run_until_complete(body);

    REQUIRE(reports.size() == 1);
    CHECK(reports[0].error == "std::domain_error: eggs");
  }

  TEST_CASE("an unread error of a task that is dropped off its loop goes to the log") {
    VirtualLoop virtual_loop;
    const Reports reports(virtual_loop.loop);
    const LogCapture log;
    std::optional<Future<int>> handle = virtual_loop.loop.create_task(fails(), {.name = "fetch"});
    run_until_idle(virtual_loop);

    handle.reset();

    CHECK(reports.size() == 0);
    REQUIRE(log.lines().size() == 1);
    CHECK(
        log.lines()[0] ==
        "an error was never looked at: its future was dropped: std::out_of_range: ham (in fetch)");
  }
}

}  // namespace
}  // namespace siding_test::error_report_test
