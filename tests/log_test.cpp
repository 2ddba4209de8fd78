// SPDX-License-Identifier: MIT
#include <siding/log.hpp>

#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/child.hpp"
#include "support/log_capture.hpp"

namespace siding_test::log_test {
namespace {

using siding::ThreadPool;
using siding_test::LogCapture;

void throw_spam() { throw std::runtime_error("spam"); }

/// Five errors that nobody looks at, so five lines; all have been written when it returns.
void cause_five_lines(ThreadPool& pool) {
  for (int i = 0; i < 5; ++i)
    pool.submit(throw_spam);
  pool.submit([] {}).get();
}

/// What a child writes to its standard error while it runs `body`.
template <class Body>
std::string standard_error_of(Body body) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = siding_test::start_child([&] {
    ::dup2(ends[1], STDERR_FILENO);
    body();
    return 0;
  });
  ::close(ends[1]);
  std::string text;
  std::array<char, 256> bytes{};
  for (ssize_t got = 0; (got = ::read(ends[0], bytes.data(), bytes.size())) > 0;)
    text.append(bytes.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  CHECK(siding_test::status_of(child) == 0);
  return text;
}

}  // namespace

TEST_SUITE("set_log_sink") {
  // DB-009
  TEST_CASE("the sink gets each line") {
    const LogCapture log;
    {
      ThreadPool pool({.max_workers = 1});
      cause_five_lines(pool);
    }

    REQUIRE(log.lines().size() == 5);
    for (const std::string& line : log.lines()) {
      CHECK(line.find("std::runtime_error: spam") != std::string::npos);
      CHECK(line.find('\n') == std::string::npos);
    }
  }

  // DB-009
  TEST_CASE("what a sink throws is swallowed, and the pool goes on") {
    std::atomic<int> lines{0};
    siding::set_log_sink([&](std::string_view) {
      ++lines;
      throw std::logic_error("broken sink");
    });
    {
      ThreadPool pool({.max_workers = 1});
      cause_five_lines(pool);
      CHECK(pool.submit([] { return 7; }).get() == 7);
    }
    siding::set_log_sink({});

    CHECK(lines == 5);
  }

  TEST_CASE("an empty function restores the default, which writes to standard error") {
    std::atomic<int> lines{0};

    const std::string text = standard_error_of([&] {
      siding::set_log_sink([&](std::string_view) { ++lines; });
      siding::detail::log("to the sink");
      siding::set_log_sink({});
      siding::detail::log("to standard error");
    });

    CHECK(text == "siding: to standard error\n");
  }

  TEST_CASE("a sink may cause a line itself") {
    std::string lines;
    siding::set_log_sink([&](std::string_view line) {
      lines += line;
      if (lines.size() < 4) siding::detail::log("again");
    });
    siding::detail::log("one");
    siding::set_log_sink({});

    CHECK(lines == "oneagain");
  }
}

}  // namespace siding_test::log_test
