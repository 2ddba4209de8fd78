// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <source_location>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "support/child.hpp"
#include "support/log_capture.hpp"
#include "support/no_threads.hpp"
#include "support/reports.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::debug_mode_test {
namespace {

using namespace std::chrono_literals;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Holds the thread for `length`.
void spin(std::chrono::nanoseconds length) {
  const auto end = siding::Clock::now() + length;
  while (siding::Clock::now() < end) {
  }
}

siding::Task<> spins(std::chrono::nanoseconds length) {
  co_await siding::yield();
  spin(length);
}

/// The report whose text has `part`: on a machine that is busy, other steps may be slow as well.
Report report_with(const Reports& reports, const std::string& part) {
  for (const Report& report : reports.all()) {
    if (contains(report.message, part)) return report;
  }
  return {};
}

int debug_in_child(const char* value) {
  return status_in_child([&] {
    if (value != nullptr) {
      ::setenv("SIDING_DEBUG", value, 1);
    } else {
      ::unsetenv("SIDING_DEBUG");
    }
    siding::EventLoop loop;
    return loop.get_debug() ? 1 : 0;
  });
}

TEST_SUITE("debug mode") {
  // DB-001
  TEST_CASE("it is on where the loop's options or the environment say so") {
    CHECK(siding::EventLoop({.debug = true}).get_debug());
    CHECK_FALSE(siding::EventLoop({.debug = false}).get_debug());
    CHECK(debug_in_child("1") == 1);
    CHECK(debug_in_child("0") == 0);
    CHECK(debug_in_child("") == 0);
    CHECK(debug_in_child(nullptr) == 0);

    siding::EventLoop loop({.debug = false});
    loop.set_debug(true);
    CHECK(loop.get_debug());
  }

  TEST_CASE("run() takes the settings of its loop") {
    const bool debug = siding::run(
        []() -> siding::Task<bool> { co_return siding::EventLoop::current().get_debug(); },
        {.loop = {.debug = true}});

    CHECK(debug);
  }

  // DB-002
  TEST_CASE("a step that holds the loop too long is reported with its task, its time and its place") {
    siding::EventLoop loop({.debug = true, .slow_step = 20ms});
    const Reports reports(loop);

    auto task = loop.create_task(spins(30ms), {.name = "slow one"});
    loop.run_until_complete([&]() -> siding::Task<> { co_await task; });

    const Report report = report_with(reports, "task 'slow one', going on in ");
    CHECK(contains(report.message, "spins"));
    CHECK(contains(report.message, "debug_mode_test.cpp:"));
    CHECK(report.source == "slow one");
    const std::string before_time = "held the loop for ";
    const std::size_t at = report.message.find(before_time);
    REQUIRE(at != std::string::npos);
    CHECK(std::stod(report.message.substr(at + before_time.size())) >= 0.03);
  }

  TEST_CASE("a slow callback is reported with its type, and a virtual clock changes nothing") {
    siding::testing::VirtualClock clock;
    siding::EventLoop loop({.clock = &clock, .debug = true, .slow_step = 20ms});
    const Reports reports(loop);

    loop.run_until_complete([&]() -> siding::Task<> {
      siding::EventLoop::current().call_soon([] { spin(30ms); });
      co_await siding::sleep(1h);
    });

    const Report report = report_with(reports, "a callback (");
    CHECK(contains(report.message, "ScheduledFunction"));
  }

  TEST_CASE("without debug mode slow steps are not looked for") {
    siding::EventLoop loop({.debug = false, .slow_step = 1ns});
    const Reports reports(loop);

    loop.run_until_complete(spins(1ms));

    CHECK(reports.size() == 0);
  }

  // DB-006
  TEST_CASE("a task that is destroyed unawaited is reported with its function") {
    for (const bool debug : {true, false}) {
      siding::EventLoop loop({.debug = debug, .slow_step = 1h});
      const Reports reports(loop);
      unsigned line = 0;
      loop.run_until_complete([&]() -> siding::Task<> {
        line = std::source_location::current().line() + 1;
        { auto forgotten = []() -> siding::Task<> { co_return; }(); }
        auto awaited = siding::sleep(0s);
        co_await awaited;
      });

      REQUIRE(reports.size() == (debug ? 1 : 0));
      if (!debug) continue;
      CHECK(contains(reports[0].message, "was destroyed without having run"));
      CHECK(contains(reports[0].message, "debug_mode_test.cpp:" + std::to_string(line) + ")"));
      CHECK(reports[0].error == "no error");
    }
  }

  TEST_CASE("outside a loop the environment decides, and the report goes to the log") {
    const auto lines_in_child = [](const char* value) {
      return status_in_child([&] {
        ::setenv("SIDING_DEBUG", value, 1);
        const LogCapture log;
        { auto forgotten = spins(1ms); }
        return static_cast<int>(log.lines().size());
      });
    };

    CHECK(lines_in_child("1") == 1);
    CHECK(lines_in_child("0") == 0);
  }

  TEST_CASE("a task that was started, or moved, is not taken for a forgotten one") {
    siding::EventLoop loop({.debug = true, .slow_step = 1h});
    const Reports reports(loop);

    loop.run_until_complete([&]() -> siding::Task<> {
      auto first = spins(1ns);
      auto second = std::move(first);
      co_await second;
      auto future = siding::create_task(spins(1ns));
      co_await future;
      auto cancelled = siding::create_task(spins(1ns));
      cancelled.cancel();
    });

    CHECK(reports.size() == 0);
  }

  // DB-003
  TEST_CASE("a watchdog tells of a loop that is stuck, while it is, with the stack of its thread") {
    LogCapture log;
    siding::EventLoop loop({.watchdog = 20ms});
    std::string line;
    loop.run_until_complete([&]() -> siding::Task<> {
      auto task = siding::create_task(
          [&]() -> siding::Task<> {
            while (log.lines().empty()) std::this_thread::yield();
            line = log.lines().front();
            co_return;
          },
          {.name = "stuck"});
      co_await task;
    });

    CHECK(contains(line, "the loop has not come round for "));
    CHECK(contains(line, "s: stuck in task 'stuck'; the stack of its thread:\n    "));
  }

  TEST_CASE("a watchdog that could do little else than wake is refused") {
    for (const siding::Limit limit : {siding::Limit(0s), siding::Limit(-1s), siding::Limit(1us)}) {
      CHECK_THROWS_AS(siding::EventLoop({.watchdog = limit}), std::invalid_argument);
    }
  }

  TEST_CASE("a loop that gets no thread for its watchdog can be run later" *
            doctest::skip(!can_forbid_new_threads())) {
    siding::EventLoop loop({.watchdog = 1s});
    without_new_threads([&] {
      CHECK_THROWS_AS(loop.run_until_complete(spins(1ns)), std::system_error);
      CHECK_FALSE(loop.is_running());
      CHECK(siding::EventLoop::current_or_null() == nullptr);
    });

    loop.run_until_complete(spins(1ns));
  }

  TEST_CASE("the watchdog of a loop that comes round, or sleeps, is silent") {
    LogCapture log;
    siding::run(
        []() -> siding::Task<> {
          for (int i = 0; i < 20; ++i) co_await siding::sleep(1ms);
          co_await siding::sleep(60ms);
        },
        {.loop = {.watchdog = 20s}});

    CHECK(log.lines().empty());
  }

  TEST_CASE("a handler for SIGURG of somebody else's is there again after an interruption") {
    static std::atomic<int> calls{0};
    struct sigaction mine {};
    mine.sa_handler = [](int) { ++calls; };
    struct sigaction before {};
    REQUIRE(::sigaction(SIGURG, &mine, &before) == 0);
    {
      LogCapture log;
      siding::EventLoop loop({.watchdog = 20ms});
      loop.run_until_complete([&]() -> siding::Task<> {
        while (log.lines().empty()) std::this_thread::yield();
        co_return;
      });
    }

    REQUIRE(::raise(SIGURG) == 0);

    CHECK(calls == 1);
    ::sigaction(SIGURG, &before, nullptr);
  }
}

}  // namespace
}  // namespace siding_test::debug_mode_test
