// SPDX-License-Identifier: MIT
// Time on the loop: the order of timers, how exact they are, and what a loop costs that waits.
#include <siding/event_loop.hpp>

#include <siding/create_task.hpp>
#include <siding/offload.hpp>
#include <siding/sleep.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/limits.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::event_loop_timers_test {
namespace {

using namespace std::chrono_literals;
using siding::Clock;
using siding::EventLoop;
using siding::Limit;
using siding::Task;
using siding::TimePoint;
using siding::TimerHandle;
using siding_test::slowness;
using siding_test::VirtualLoop;
using std::chrono::nanoseconds;

// Processor time that this thread has used.
nanoseconds cpu_time() {
  timespec time{};
  REQUIRE(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

TEST_SUITE("EventLoop timers") {
  // LP-003
  TEST_CASE("timers fire in order of their times, and never early") {
    EventLoop loop;
    std::vector<std::chrono::milliseconds> order;
    const TimePoint start = loop.time();

    for (const auto delay : {30ms, 10ms, 20ms}) {
      loop.call_later(delay, [&, delay] {
        order.push_back(delay);
        CHECK(loop.time() - start >= delay);
        CHECK(loop.time() - start < delay + 5s * slowness);
        if (delay == 30ms) loop.stop();
      });
    }
    loop.run_forever();

    CHECK(order == std::vector{10ms, 20ms, 30ms});
  }

  // LP-003
  TEST_CASE("call_later and call_at fire at their exact times, on one clock") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    std::vector<nanoseconds> fired;
    auto note = [&] { fired.push_back(virtual_loop.elapsed()); };

    loop.call_later(7ns, note);
    loop.call_at(virtual_loop.start + 5ns, note);
    loop.call_later(1h, [&] { loop.stop(); });
    loop.call_later(3ms, [&] { loop.call_later(2ms, note); });
    loop.call_at(virtual_loop.start + 4ms, note);
    loop.run_forever();

    CHECK(fired == std::vector<nanoseconds>{5ns, 7ns, 4ms, 5ms});
    CHECK(virtual_loop.elapsed() == 1h);
  }

  TEST_CASE("of timers that are due at the same time the one armed first fires first") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    std::string order;
    const TimePoint when = virtual_loop.start + 1s;

    for (const char name : std::string("abcdefghijklmnopqrstuvwxyz")) {
      loop.call_at(when, [&order, name] { order += name; });
    }
    loop.call_later(1s, [&] { loop.stop(); });
    loop.run_forever();

    CHECK(order == "abcdefghijklmnopqrstuvwxyz");
  }

  TEST_CASE("a timer in the past fires in the next iteration, not in this one") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    std::vector<std::uint64_t> iterations;
    int left = 3;
    std::function<void()> again = [&] {
      iterations.push_back(loop.counters().iterations);
      if (--left == 0) return loop.stop();
      loop.call_at(virtual_loop.start - 1h, again);
      loop.call_later(-1s, [] {});
    };

    loop.call_soon(again);
    loop.run_forever();

    REQUIRE(iterations.size() == 3);
    CHECK(iterations[1] == iterations[0] + 1);
    CHECK(iterations[2] == iterations[1] + 1);
    CHECK(virtual_loop.elapsed() == 0s);
  }

  TEST_CASE("a timer can cancel another that is due at the same time") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    bool called = false;
    std::optional<TimerHandle> second;

    loop.call_later(1s, [&] { second->cancel(); });
    second = loop.call_later(1s, [&] { called = true; });
    loop.call_later(2s, [&] { loop.stop(); });
    loop.run_forever();

    CHECK_FALSE(called);
    CHECK(second->cancelled());
  }

  TEST_CASE("a delay without limit is never over") {
    VirtualLoop virtual_loop;
    EventLoop& loop = virtual_loop.loop;
    bool called = false;
    loop.call_later(Limit(), [&] { called = true; });
    loop.call_later(std::nullopt, [&] { called = true; });
    loop.call_later(std::chrono::hours::max(), [&] { called = true; });

    loop.call_later(24h * 365 * 200, [&] { loop.stop(); });
    loop.run_forever();

    CHECK_FALSE(called);
    CHECK(virtual_loop.elapsed() == 24h * 365 * 200);
  }

  // LP-005
  TEST_CASE("time() never goes back") {
    const EventLoop loop;
    TimePoint last = loop.time();
    bool went_back = false;

    for (int i = 0; i < 10'000; ++i) {
      const TimePoint now = loop.time();
      went_back = went_back || now < last;
      last = now;
    }

    CHECK_FALSE(went_back);
  }

  // LP-005
  TEST_CASE("time() is the clock of call_at") {
    auto best = Clock::duration::max();
    for (int round = 0; round < 3; ++round) {
      EventLoop loop;
      const TimePoint start = loop.time();
      TimePoint called{};

      loop.call_at(start + 50ms, [&] {
        called = loop.time();
        loop.stop();
      });
      loop.run_forever();

      CHECK(called >= start + 50ms);
      best = std::min(best, called - start - 50ms);
    }
    CHECK(best < 10ms * slowness);
  }

  TEST_CASE("a few timers are exact: each has a wake-up of its own") {
    EventLoop loop;
    std::vector<nanoseconds> late;
    auto body = [&]() -> Task<> {
      for (int round = 0; round < 20; ++round) {
        auto worst = nanoseconds(0);
        const TimePoint start = loop.time();
        for (int i = 1; i <= 8; ++i) {
          const TimePoint due = start + i * 150us;
          loop.call_at(due, [&, due] {
            CHECK(loop.time() >= due);
            worst = std::max(worst, nanoseconds(loop.time() - due));
          });
        }
        co_await siding::sleep(2ms);
        late.push_back(worst);
      }
    };

    loop.run_until_complete(body);

    // Less than the 500 us between the wake-ups of a crowd.
    CHECK(*std::min_element(late.begin(), late.end()) < 300us * slowness);
  }

  TEST_CASE("a crowd of timers shares wake-ups, at most one per 500 us; none fires early") {
    constexpr std::size_t count = 2000;
    constexpr std::size_t exact = 64;  // the last ones, too few for a crowd
    constexpr auto gap = 500us;
    EventLoop loop;
    std::size_t fired = 0;
    std::size_t early = 0;
    const TimePoint start = loop.time();

    for (std::size_t i = 0; i < count; ++i) {
      const TimePoint due = start + 5ms + i * 50us;
      loop.call_at(due, [&, due] {
        if (loop.time() < due) ++early;
        if (++fired == count) loop.stop();
      });
    }
    loop.run_forever();
    const auto elapsed = loop.time() - start;

    CHECK(fired == count);
    CHECK(early == 0);
    const auto wake_ups = static_cast<std::size_t>(elapsed / gap) + exact + 2;
    CHECK(loop.counters().sleeps <= wake_ups);
    CHECK(loop.counters().wakes == 0);
  }

  TEST_CASE("a loop that waits sleeps: it neither turns nor uses the processor") {
    EventLoop loop;
    loop.call_later(200ms, [&] { loop.stop(); });
    const nanoseconds before = cpu_time();

    loop.run_forever();

    CHECK(loop.counters().iterations <= 2);
    CHECK(loop.counters().sleeps <= 2);
    CHECK(loop.counters().wakes == 0);
    CHECK(cpu_time() - before < 20ms * slowness);
  }

  TEST_CASE("a handle may be made before its call, as a member that is assigned to") {
    EventLoop loop;
    siding::TimerHandle handle;
    bool called = false;

    handle.cancel();
    CHECK_FALSE(handle.cancelled());
    CHECK(handle.when() == siding::TimePoint::max());
    handle = loop.call_later(1h, [&called] { called = true; });
    const siding::TimerHandle copy = handle;
    handle.cancel();
    handle = siding::TimerHandle();

    CHECK(copy.cancelled());
    CHECK_FALSE(called);
  }

  TEST_CASE("a loop that waits for a long call on an executor sleeps as well") {
    siding::ThreadPool pool{{.max_workers = 1}};
    EventLoop loop;
    auto works = [] { std::this_thread::sleep_for(100ms); };
    auto body = [&]() -> Task<> {
      const nanoseconds before = cpu_time();
      const auto iterations_before = loop.counters().iterations;
      co_await siding::offload(pool, works);
      CHECK(loop.counters().iterations - iterations_before <= 2);
      CHECK(loop.counters().sleeps == 1);
      CHECK(loop.counters().wakes == 1);
      CHECK(cpu_time() - before < 20ms * slowness);
    };

    loop.run_until_complete(body);
  }
}

}  // namespace
}  // namespace siding_test::event_loop_timers_test
