// SPDX-License-Identifier: MIT
#include <siding/time.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <optional>

namespace siding_test::time_test {
namespace {

using namespace std::chrono_literals;
using siding::Limit;
using siding::TimePoint;
using siding::detail::deadline;
using siding::detail::saturating_add;
using std::chrono::nanoseconds;

constexpr TimePoint at(nanoseconds time) { return TimePoint(time); }

constexpr std::chrono::duration<double> seconds(double count) {
  return std::chrono::duration<double>(count);
}

using Double = std::numeric_limits<double>;

}  // namespace

TEST_SUITE("Limit") {
  TEST_CASE("is a length or none") {
    static_assert(!Limit().has_value());
    static_assert(!Limit(std::nullopt).has_value());
    static_assert(Limit(0s).has_value());
    static_assert(Limit(3ms).value() == 3'000'000ns);
    static_assert(Limit(-3ms).value() == -3'000'000ns);
    CHECK_FALSE(deadline(at(5ns), Limit()).has_value());
    CHECK(deadline(at(5ns), Limit(2ns)) == at(7ns));
  }

  TEST_CASE("is rounded up, so that a wait is never early") {
    static_assert(Limit(std::chrono::duration<double, std::nano>(1.25)).value() == 2ns);
    static_assert(Limit(std::chrono::duration<double, std::nano>(-1.25)).value() == -1ns);
    static_assert(Limit(std::chrono::duration<int, std::pico>(1)).value() == 1ns);
  }

  TEST_CASE("is held at the ends of nanoseconds") {
    static_assert(Limit(std::chrono::hours::max()).value() == nanoseconds::max());
    static_assert(Limit(std::chrono::hours::min()).value() == nanoseconds::min());
    static_assert(Limit(nanoseconds::max()).value() == nanoseconds::max());
    static_assert(Limit(nanoseconds::min()).value() == nanoseconds::min());
    static_assert(Limit(seconds(Double::infinity())).value() == nanoseconds::max());
    static_assert(Limit(seconds(-Double::infinity())).value() == nanoseconds::min());
  }

  TEST_CASE("of what is not a number is a very long one") {
    // Not at compile time: there clang makes an error of it.
    CHECK(Limit(seconds(Double::quiet_NaN())).value() == nanoseconds::max());
  }
}

TEST_SUITE("a deadline") {
  TEST_CASE("is held at the ends of time") {
    static_assert(saturating_add(at(1ns), nanoseconds::max()) == TimePoint::max());
    static_assert(saturating_add(TimePoint::max(), 1ns) == TimePoint::max());
    static_assert(saturating_add(at(-2ns), nanoseconds::min()) == TimePoint::min());
    static_assert(saturating_add(TimePoint::min(), -1ns) == TimePoint::min());
    static_assert(saturating_add(TimePoint::max(), 0ns) == TimePoint::max());
  }

  TEST_CASE("in the past is counted back") {
    static_assert(saturating_add(at(5ns), -7ns) == at(-2ns));
    static_assert(saturating_add(at(0ns), nanoseconds::min()) == TimePoint::min());
    static_assert(saturating_add(TimePoint::max(), nanoseconds::min()) == at(-1ns));
    CHECK(deadline(at(5ns), Limit(-7ns)) == at(-2ns));
  }
}

}  // namespace siding_test::time_test
