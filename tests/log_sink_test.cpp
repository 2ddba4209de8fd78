// SPDX-License-Identifier: MIT
#include <siding/log.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "support/counted.hpp"
#include "support/log_capture.hpp"

namespace siding_test::log_sink_test {
namespace {

using siding_test::Counted;
using siding_test::Counts;

TEST_SUITE("log") {
  TEST_CASE("a sink may replace itself, and lives until its call has ended") {
    Counts counts;
    const siding_test::LogCapture restores_the_default;
    std::string first;
    int alive_after_replacing = 0;
    siding::set_log_sink([&, kept = Counted(counts)](std::string_view line) {
      siding::set_log_sink({});
      alive_after_replacing = counts.alive();
      first = line;
    });

    siding::detail::log("one line");

    CHECK(alive_after_replacing == 1);
    CHECK(first == "one line");
    CHECK(counts.alive() == 0);
  }
}

}  // namespace
}  // namespace siding_test::log_sink_test
