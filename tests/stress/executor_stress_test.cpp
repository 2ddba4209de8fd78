// SPDX-License-Identifier: MIT
// Eight threads submit, cancel and shut down at once: no call may be lost, none may run twice.

#include <siding/detail/sanitizers.hpp>
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "support/executors.hpp"
#include "support/seed.hpp"

namespace siding_test::executor_stress_test {
namespace {

using siding::Future;
using siding::Task;

constexpr std::size_t user_count = 8;
constexpr std::size_t calls_per_user = 400;
constexpr unsigned rounds = SIDING_SANITIZED ? 3 : 10;

/// What became of one call.
struct Call {
  std::atomic<int> runs{0};
  std::atomic<int> callbacks{0};
  std::atomic<int> cancels{0};  // how often cancel() said yes
  bool refused = false;
  Future<std::size_t> future;
  std::atomic<bool> submitted{false};  // publishes the future to the other users
};

struct Totals {
  std::size_t lost = 0;   // neither ran, nor was cancelled, nor refused
  std::size_t twice = 0;  // ran twice or though cancelled, was called back or cancelled twice
  std::size_t ran = 0;
  std::size_t cancelled = 0;
  std::size_t refused = 0;
};

void judge(const Call& call, std::size_t value, Totals& totals) {
  const int runs = call.runs.load();
  if (call.refused) {
    ++totals.refused;
    if (runs != 0) ++totals.twice;
    return;
  }
  if (!call.future.done() || call.callbacks.load() == 0) {
    ++totals.lost;
    return;
  }
  if (call.callbacks.load() != 1 || call.cancels.load() > 1 || runs > 1) ++totals.twice;
  if (call.future.cancelled()) {
    ++totals.cancelled;
    if (runs != 0) ++totals.twice;
    return;
  }
  ++totals.ran;
  if (runs == 0 || call.cancels.load() != 0 || call.future.result() != value) ++totals.lost;
}

// One user of the executor: submits its calls, and cancels some of its own and of another's.
void use(siding::Executor& executor, std::vector<Call>& own, std::vector<Call>& others,
         unsigned seed, std::atomic<std::size_t>& submitted) {
  std::minstd_rand random(seed);
  for (std::size_t n = 0; n < own.size(); ++n) {
    Call& call = own[n];
    try {
      call.future = executor.submit([&call, n] {
        ++call.runs;
        return n;
      });
      call.future.add_done_callback([&call] { ++call.callbacks; });
      call.submitted.store(true, std::memory_order_release);
    } catch (const siding::ShutdownError&) {
      call.refused = true;
    }
    ++submitted;
    std::vector<Call>& whose = random() % 2 == 0 ? own : others;
    Call& chosen = whose[n - random() % std::min<std::size_t>(n + 1, 4)];
    if (random() % 2 == 0 && chosen.submitted.load(std::memory_order_acquire)) {
      if (chosen.future.cancel()) ++chosen.cancels;
    }
  }
}

// One user more, on a loop, with awaited calls; counts those whose end does not fit their runs.
void use_on_a_loop(siding::Executor& executor, std::atomic<int>& wrong) {
  constexpr std::size_t count = 200;
  std::vector<std::atomic<int>> runs(count);
  siding::run([&]() -> Task<> {
    std::vector<Future<>> tasks;
    for (std::size_t n = 0; n < count; ++n) {
      tasks.push_back(siding::create_task(siding::offload(executor, [&runs, n] { ++runs[n]; })));
      if (n % 8 == 7) co_await siding::yield();
      if (n % 3 == 0) tasks.back().cancel();
    }
    const auto outcome = co_await siding::wait(tasks);
    if (outcome.done.size() != count) ++wrong;
    for (std::size_t n = 0; n < outcome.done.size(); ++n) {
      const Future<>& task = outcome.done[n];
      const int ran = runs[n].load();
      const bool refused = !task.cancelled() && task.exception() != nullptr;
      const bool fits = refused ? ran == 0 : task.cancelled() ? ran <= 1 : ran == 1;
      if (!fits) ++wrong;
    }
  });
}

enum class End { shutdown, cancel_pending, destroy };

void check_executor(std::unique_ptr<siding::Executor> executor, End end, unsigned seed) {
  std::vector<std::vector<Call>> calls;
  for (std::size_t i = 0; i < user_count; ++i)
    calls.emplace_back(calls_per_user);
  std::atomic<std::size_t> submitted{0};
  std::atomic<int> wrong{0};

  std::vector<std::thread> users;
  for (std::size_t i = 0; i < user_count; ++i) {
    users.emplace_back([&, i] {
      use(*executor, calls[i], calls[(i + 1) % user_count], seed + static_cast<unsigned>(i),
          submitted);
    });
  }
  users.emplace_back([&] { use_on_a_loop(*executor, wrong); });
  if (end != End::destroy) {
    // In the midst of it, by two threads.
    for (int i = 0; i < 2; ++i) {
      users.emplace_back([&] {
        while (submitted.load() < user_count * calls_per_user / 2)
          std::this_thread::yield();
        executor->shutdown({.cancel_pending = end == End::cancel_pending});
      });
    }
  }
  for (std::thread& user : users)
    user.join();
  executor.reset();

  Totals totals;
  for (const std::vector<Call>& of_user : calls) {
    for (std::size_t n = 0; n < of_user.size(); ++n)
      judge(of_user[n], n, totals);
  }
  INFO("SIDING_TEST_SEED=", seed);
  CHECK(totals.lost == 0);
  CHECK(totals.twice == 0);
  CHECK(totals.ran + totals.cancelled + totals.refused == user_count * calls_per_user);
  CHECK(wrong == 0);
}

std::unique_ptr<siding::Executor> make_pool(std::size_t workers) {
  return std::make_unique<siding::ThreadPool>(siding::ThreadPoolOptions{.max_workers = workers});
}

}  // namespace

TEST_SUITE("Executor stress") {
  TEST_CASE("no call of a pool is lost or run twice, however it ends") {
    const unsigned seed = siding_test::random_seed();
    for (const End end : {End::shutdown, End::cancel_pending, End::destroy}) {
      for (const std::size_t workers : {1U, 2U, 8U}) {
        for (unsigned round = 0; round < rounds; ++round)
          check_executor(make_pool(workers), end, seed + round);
      }
    }
  }

  TEST_CASE("no call of a user's executor is lost or run twice, however it ends") {
    const unsigned seed = siding_test::random_seed();
    for (const End end : {End::shutdown, End::cancel_pending, End::destroy}) {
      check_executor(std::make_unique<siding_test::OneThread>(), end, seed);
      check_executor(std::make_unique<siding_test::FewThreads>(3), end, seed);
    }
  }
}

}  // namespace siding_test::executor_stress_test
