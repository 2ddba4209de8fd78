// SPDX-License-Identifier: MIT
#include <siding/detail/timer_heap.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "support/heap_bytes.hpp"
#include "support/seed.hpp"

namespace siding_test::timer_heap_test {
namespace {

using namespace std::chrono_literals;
using siding::TimePoint;
using siding::detail::Scheduler;
using siding::detail::TimerHeap;
using siding::detail::TimerNode;

struct Timer final : TimerNode {
  void due(Scheduler&) noexcept override {}
  void run() noexcept override {}
  void refuse() noexcept override {}
};

constexpr TimePoint at(std::int64_t time) { return TimePoint(std::chrono::nanoseconds(time)); }

TEST_SUITE("TimerHeap") {
  TEST_CASE("the earliest timer comes out first") {
    TimerHeap heap;
    std::deque<Timer> timers(5);
    for (const std::size_t i : {3U, 0U, 4U, 1U, 2U}) {
      heap.arm(timers[i], at(static_cast<std::int64_t>(i)));
    }

    for (std::size_t i = 0; i < timers.size(); ++i) {
      CHECK(heap.next_due() == at(static_cast<std::int64_t>(i)));
      CHECK(timers[i].armed());
      CHECK(&heap.pop() == &timers[i]);
      CHECK_FALSE(timers[i].armed());
    }
    CHECK(heap.empty());
  }

  TEST_CASE("of equal times the one armed first comes out first") {
    TimerHeap heap;
    std::deque<Timer> timers(100);
    for (Timer& timer : timers)
      heap.arm(timer, at(7));

    for (Timer& timer : timers)
      CHECK(&heap.pop() == &timer);
  }

  TEST_CASE("a timer that is armed again counts as armed last") {
    TimerHeap heap;
    Timer first;
    Timer second;
    heap.arm(first, at(1));
    heap.arm(second, at(1));

    heap.disarm(first);
    heap.arm(first, at(1));

    CHECK(&heap.pop() == &second);
    CHECK(&heap.pop() == &first);
  }

  TEST_CASE("the ends of time are times like others") {
    TimerHeap heap;
    Timer last;
    Timer first;
    heap.arm(last, TimePoint::max());
    heap.arm(first, TimePoint::min());

    CHECK(&heap.pop() == &first);
    CHECK(heap.next_due() == TimePoint::max());
    heap.disarm(last);
    CHECK(heap.empty());
  }

  TEST_CASE("any mixture of arming, disarming and popping agrees with a sorted list") {
    const unsigned seed = siding_test::random_seed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    TimerHeap heap;
    std::deque<Timer> timers(600);
    std::map<std::pair<TimePoint, int>, Timer*> model;  // by time, then by order of arming
    std::map<Timer*, std::pair<TimePoint, int>> places;
    int armed = 0;
    bool agree = true;

    for (int step = 0; step < 100'000; ++step) {
      Timer& timer = timers[random() % timers.size()];
      if (!timer.armed()) {
        const TimePoint when = at(static_cast<std::int64_t>(random() % 50));
        heap.arm(timer, when);
        places[&timer] = {when, ++armed};
        model[places[&timer]] = &timer;
      } else if (random() % 2 == 0) {
        heap.disarm(timer);
        model.erase(places[&timer]);
      } else {
        agree = agree && heap.next_due() == model.begin()->first.first;
        agree = agree && &heap.pop() == model.begin()->second;
        model.erase(model.begin());
      }
      agree = agree && heap.size() == model.size() && heap.empty() == model.empty();
    }

    CHECK(agree);
    for (const auto& [place, timer] : model)
      CHECK(&heap.pop() == timer);
    CHECK(heap.empty());
  }

  TEST_CASE("a burst of timers does not hold its memory for ever") {
    constexpr std::size_t count = 100'000;
    std::vector<Timer> timers(count);
    TimerHeap heap;
    Timer stays;
    heap.arm(stays, at(-1));
    const std::size_t before = siding_test::heap_bytes();
    for (Timer& timer : timers)
      heap.arm(timer, at(1));
    REQUIRE(siding_test::heap_bytes() > before + count * sizeof(void*));

    for (Timer& timer : timers)
      heap.disarm(timer);

    CHECK(heap.size() == 1);
    CHECK(siding_test::heap_bytes() < before + 100'000);
    CHECK(&heap.pop() == &stays);
  }
}

}  // namespace
}  // namespace siding_test::timer_heap_test
