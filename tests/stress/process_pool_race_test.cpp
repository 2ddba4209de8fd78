// SPDX-License-Identifier: MIT
// A call's result against what ends the call, both at the same moment: one of them wins, and the next call
// on the worker is never hit.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "support/chaos_calls.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "support/seed.hpp"
#include "support/shared_counts.hpp"

namespace siding_test::process_pool_race_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using std::chrono::microseconds;
using std::chrono::nanoseconds;
using Pool = PoolSubject;

constexpr microseconds limit = 300us;
constexpr std::size_t followers = 3;

int last_for(CountsKey key, std::size_t place, nanoseconds time) {
  raise_count(key, place);
  spin_for(time);
  return static_cast<int>(place);
}

int last_with_token(std::stop_token, CountsKey key, std::size_t place, nanoseconds time) {
  return last_for(key, place, time);
}

/// Whether it was asked to stop.
bool is_asked(std::stop_token token, nanoseconds time) {
  spin_for(time);
  return token.stop_requested();
}

/// Moves one side of a race so that it is won as often as lost.
class Aim {
 public:
  explicit Aim(nanoseconds time) : time_(time) {}
  nanoseconds time() const { return std::max(time_, 0ns); }
  void correct(bool result_won) {
    time_ += result_won ? step : -step;
    ++(result_won ? won_ : lost_);
  }
  bool has_met_both() const { return won_ > 0 && lost_ > 0; }

 private:
  static constexpr nanoseconds step = 3us;

  nanoseconds time_;
  int won_ = 0;
  int lost_ = 0;
};

siding::ProcessPoolOptions one_worker(nanoseconds kill_grace) {
  siding::ProcessPoolOptions options{.max_workers = 1};
  options.kill_grace = kill_grace;
  return options;
}

/// The calls of a round: one that is raced with, and some behind it.
struct Round {
  std::size_t first = 0;  // its place

  static std::size_t places(std::size_t rounds) { return rounds * (1 + followers); }

  std::vector<Future<int>> follow(siding::ProcessPool& pool, CountsKey key) const {
    std::vector<Future<int>> calls;
    for (std::size_t i = 1; i <= followers; ++i) {
      calls.push_back(pool.submit(last_for, key, first + i, nanoseconds(100us)));
    }
    return calls;
  }
  /// How many of them did not run once, or gave something else.
  int wrong(const std::vector<Future<int>>& calls, const SharedCounts& counts) const {
    int wrong = 0;
    for (std::size_t i = 1; i <= followers; ++i) {
      const std::size_t place = first + i;
      wrong += value_of(calls[i - 1]) == static_cast<int>(place) && counts[place] == 1 ? 0 : 1;
    }
    return wrong;
  }
};

Round round_of(std::size_t number) { return {number * (1 + followers)}; }

TEST_SUITE("ProcessPool: races at the end of a call") {
  // PP-011
  TEST_CASE("a result and the end of a run_limit: one of them wins, and later calls are not hit") {
    const std::size_t rounds = random_rounds(500);
    for (const nanoseconds kill_grace : {nanoseconds(0ns), nanoseconds(5ms)}) {
      CAPTURE(kill_grace.count());
      const Pool pool(one_worker(kill_grace));
      const SharedCounts counts(Round::places(rounds));
      Aim aim(limit);
      for (std::size_t n = 0; n < rounds; ++n) {
        CAPTURE(n);
        const Round round = round_of(n);
        const auto raced =
            pool->submit({.run_limit = limit}, last_for, counts.key(), round.first, aim.time());
        const auto behind = round.follow(*pool, counts.key());
        bool in_time = true;
        try {
          CHECK(value_of(raced) == static_cast<int>(round.first));
        } catch (const siding::TimeoutError&) {
          in_time = false;
        }
        REQUIRE(raced.done());
        CHECK(round.wrong(behind, counts) == 0);
        CHECK(counts[round.first] <= 1);
        aim.correct(in_time);
      }
      CHECK(aim.has_met_both());
    }
  }

  // PP-013
  TEST_CASE("a result and cancel(): what cancel() said holds, and later calls are not hit") {
    const std::size_t rounds = random_rounds(500);
    for (const nanoseconds kill_grace : {nanoseconds(0ns), nanoseconds(5ms)}) {
      CAPTURE(kill_grace.count());
      const Pool pool(one_worker(kill_grace));
      const SharedCounts counts(Round::places(rounds));
      Aim aim(limit);
      siding::EventLoop loop;
      for (std::size_t n = 0; n < rounds; ++n) {
        CAPTURE(n);
        const Round round = round_of(n);
        Future<int> raced;
        std::vector<Future<int>> behind;
        bool granted = false;
        std::thread canceller;
        loop.run_until_complete([&]() -> siding::Task<> {
          raced = siding::run_in_executor(*pool, last_for, counts.key(), round.first, aim.time());
          behind = round.follow(*pool, counts.key());
          canceller = std::thread([&] {
            becomes_true([&] { return counts[round.first] == 1; });
            spin_for(limit);
            granted = raced.cancel();
          });
          co_await siding::wait(raced);
        }());
        canceller.join();
        CHECK(raced.cancelled() == granted);
        if (!granted) CHECK(raced.result() == static_cast<int>(round.first));
        CHECK(round.wrong(behind, counts) == 0);
        CHECK(counts[round.first] == 1);
        aim.correct(!granted);
      }
      loop.close();
      CHECK(aim.has_met_both());
    }
  }

  // PP-013
  TEST_CASE("a call that begins and cancel(): it is taken back and never made, or it is made") {
    const std::size_t rounds = random_rounds(500);
    const Pool pool(1);
    const SharedCounts counts(Round::places(rounds));
    Aim aim(limit);
    for (std::size_t n = 0; n < rounds; ++n) {
      CAPTURE(n);
      const Round round = round_of(n);
      const auto before = pool->submit(last_for, counts.key(), round.first, aim.time());
      const auto raced = round.follow(*pool, counts.key());
      becomes_true([&] { return counts[round.first] == 1; });
      spin_for(limit);
      std::vector<bool> granted;
      for (const auto& call : raced) granted.push_back(call.cancel());
      CHECK(value_of(before) == static_cast<int>(round.first));
      for (std::size_t i = 0; i < followers; ++i) {
        const std::size_t place = round.first + 1 + i;
        if (!granted[i]) CHECK(value_of(raced[i]) == static_cast<int>(place));
        CHECK(raced[i].cancelled() == granted[i]);
        CHECK(counts[place] == (granted[i] ? 0 : 1));
      }
      // Cancelled if `before` takes longer: then it has to be shorter.
      aim.correct(!granted[0]);
    }
    CHECK(aim.has_met_both());
  }

  // PP-011
  TEST_CASE("a call that returns when it is asked to stop: the next one is not asked") {
    const std::size_t rounds = random_rounds(500);
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.cancel_grace = hang_limit;
    const Pool pool(options);
    const SharedCounts counts(rounds);
    const int pid = value_of(pool->submit([](int) { return ::getpid(); }, 0));
    Aim aim(limit);
    for (std::size_t n = 0; n < rounds; ++n) {
      CAPTURE(n);
      const auto raced =
          pool->submit({.run_limit = limit}, last_with_token, counts.key(), n, aim.time());
      std::vector<Future<bool>> behind;
      for (std::size_t i = 0; i < followers; ++i) {
        behind.push_back(pool->submit(is_asked, nanoseconds(50us)));
      }
      bool in_time = true;
      try {
        CHECK(value_of(raced) == static_cast<int>(n));
      } catch (const siding::TimeoutError&) {
        in_time = false;
      }
      REQUIRE(raced.done());
      for (const auto& call : behind) CHECK_FALSE(value_of(call));
      CHECK(counts[n] == 1);
      aim.correct(in_time);
    }
    CHECK(aim.has_met_both());
    CHECK(value_of(pool->submit([](int) { return ::getpid(); }, 0)) == pid);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_race_test
