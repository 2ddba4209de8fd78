// SPDX-License-Identifier: MIT
// Workers that die at random: nothing is lost, nothing is done twice, nobody else suffers.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/executor_subject.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/seed.hpp"
#include "support/shared_counts.hpp"

namespace siding_test::process_pool_stress_test {
namespace {

enum class Fate { fine, killed, segfault, aborted, exits, throws, large };

struct Plan {
  Fate fate;
  std::size_t place;
};

std::string act(CountsKey key, Plan plan) {
  raise_count(key, plan.place);
  switch (plan.fate) {
    case Fate::fine:
      break;
    case Fate::killed:
      ::raise(SIGKILL);
      break;
    case Fate::segfault:
      ::signal(SIGSEGV, SIG_DFL);
      ::raise(SIGSEGV);
      break;
    case Fate::aborted:
      ::signal(SIGABRT, SIG_DFL);
      std::abort();
    case Fate::exits:
      ::_exit(99);
    case Fate::throws:
      throw std::runtime_error("thrown by " + std::to_string(plan.place));
    case Fate::large:
      return std::string(100'000, 'x');
  }
  return std::to_string(plan.place);
}

bool is_crash(Fate fate) {
  return fate == Fate::killed || fate == Fate::segfault || fate == Fate::aborted ||
         fate == Fate::exits;
}

Fate any_fate(std::minstd_rand& random) {
  const auto die = random() % 100;
  if (die < 3) return Fate::killed;
  if (die < 5) return Fate::segfault;
  if (die < 7) return Fate::aborted;
  if (die < 9) return Fate::exits;
  if (die < 14) return Fate::throws;
  if (die < 20) return Fate::large;
  return Fate::fine;
}

std::vector<Plan> make_plans(std::size_t count, std::uint64_t seed) {
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(seed));
  std::vector<Plan> plans;
  for (std::size_t place = 0; place < count; ++place) plans.push_back({any_fate(random), place});
  return plans;
}

struct Tally {
  int wrong = 0;
  int crashed = 0;
};

void judge(Tally& tally, const Plan& plan, const siding::Future<std::string>& call) {
  try {
    const std::string& text = call.result();
    const bool right = plan.fate == Fate::fine    ? text == std::to_string(plan.place)
                       : plan.fate == Fate::large ? text == std::string(100'000, 'x')
                                                  : false;
    tally.wrong += right ? 0 : 1;
  } catch (const siding::WorkerCrashed&) {
    ++tally.crashed;
    tally.wrong += is_crash(plan.fate) ? 0 : 1;
  } catch (const std::runtime_error& error) {
    const bool right = plan.fate == Fate::throws &&
                       error.what() == "thrown by " + std::to_string(plan.place);
    tally.wrong += right ? 0 : 1;
  }
}

siding::Task<Tally> on_a_loop(siding::ProcessPool& pool, CountsKey key, std::vector<Plan> plans) {
  std::vector<siding::Future<std::string>> calls;
  for (const Plan& plan : plans)
    calls.push_back(siding::run_in_executor(pool, act, key, plan));
  co_await siding::wait(calls);
  Tally tally;
  for (std::size_t i = 0; i < plans.size(); ++i) judge(tally, plans[i], calls[i]);
  co_return tally;
}

Tally on_plain_threads(siding::ProcessPool& pool, CountsKey key, const std::vector<Plan>& plans) {
  std::vector<siding::Future<std::string>> calls;
  for (const Plan& plan : plans) calls.push_back(pool.submit(act, key, plan));
  Tally tally;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    while (!calls[i].done()) std::this_thread::yield();
    judge(tally, plans[i], calls[i]);
  }
  return tally;
}

TEST_SUITE("ProcessPool under random deaths") {
  // PP-004, PP-005, PP-006, PP-018
  TEST_CASE("of 2000 calls each runs once, each crash fails one call, and nothing is left") {
    const KeptForGood kept;
    const LeakGuard guard;
    const std::uint64_t seed = random_seed();
    INFO("seed ", seed);
    constexpr std::size_t count = 1000;
    SharedCounts runs(2 * count);
    Tally first;
    Tally second;
    auto plans = make_plans(2 * count, seed);
    const std::vector<Plan> half(plans.begin() + count, plans.end());
    plans.resize(count);
    {
      siding::ProcessPool pool{{.max_workers = 3}};
      std::thread other([&] { second = on_plain_threads(pool, runs.key(), half); });
      first = siding::run(on_a_loop(pool, runs.key(), plans));
      other.join();
    }

    CHECK(first.wrong == 0);
    CHECK(second.wrong == 0);
    CHECK(first.crashed + second.crashed > 100);
    int twice = 0;
    int lost = 0;
    for (std::size_t place = 0; place < 2 * count; ++place) {
      twice += runs[place] > 1 ? 1 : 0;
      lost += runs[place] == 0 ? 1 : 0;
    }
    CHECK(twice == 0);
    CHECK(lost == 0);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_stress_test
