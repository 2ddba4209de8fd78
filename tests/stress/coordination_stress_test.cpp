// SPDX-License-Identifier: MIT
// Tasks that lock, acquire, put, get, notify and meet at random, with limits, while others cancel
// them at random: nothing is held twice, lost or left behind.
#include <siding/barrier.hpp>
#include <siding/condition.hpp>
#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/event.hpp>
#include <siding/event_loop.hpp>
#include <siding/mutex.hpp>
#include <siding/queue.hpp>
#include <siding/semaphore.hpp>
#include <siding/sleep.hpp>
#include <siding/wait_for.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <vector>

#include "support/seed.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"

namespace siding_test::coordination_stress_test {
namespace {

using namespace std::chrono_literals;
using siding::Cancelled;
using siding::Future;
using siding::Limit;
using siding::Task;
using siding_test::turns;

constexpr int permits = 3;
constexpr std::size_t parties = 3;

struct World {
  siding::Mutex mutex;
  siding::Semaphore semaphore{permits, permits};
  siding::Queue<int> queue{2};
  siding::Condition condition;
  siding::Barrier barrier{parties};
  siding::Event event;
  int holders = 0;       // of the mutex
  int permits_out = 0;
  int condition_held = 0;
  int next_item = 0;
  std::vector<int> put;
  std::vector<int> got;
  int passed = 0;        // a barrier
  int interrupted = 0;
};

using Random = std::minstd_rand;

// As long as it lives the task is one of at most `most`.
class Inside {
 public:
  Inside(int& count, int most) : count_(count) { CHECK(++count_ <= most); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { --count_; }

 private:
  int& count_;
};

Task<> dawdle(Random& random) {
  if (random() % 3 == 0) {
    co_await siding::sleep(1ms);
  } else {
    co_await turns(static_cast<int>(random() % 3));
  }
}

Task<> lock(World& world, Random& random, Limit limit) {
  const auto guard = co_await siding::wait_for(world.mutex.lock(), limit);
  const Inside inside(world.holders, 1);
  co_await dawdle(random);
}

Task<> acquire(World& world, Random& random, Limit limit) {
  const auto permit = co_await siding::wait_for(world.semaphore.acquire(), limit);
  const Inside inside(world.permits_out, permits);
  co_await dawdle(random);
}

Task<> pass_on(World& world, Random& random, Limit limit) {
  if (random() % 2 == 0) {
    const int item = world.next_item++;
    co_await siding::wait_for(world.queue.put(item), limit);
    world.put.push_back(item);
  } else {
    const int item = co_await siding::wait_for(world.queue.get(), limit);
    world.got.push_back(item);
    world.queue.task_done();
  }
  CHECK(world.queue.size() <= 2);
}

Task<> confer(World& world, Random& random, Limit limit) {
  const auto guard = co_await siding::wait_for(world.condition.lock(), limit);
  {
    const Inside inside(world.condition_held, 1);
    co_await dawdle(random);
    world.condition.notify(random() % 3);
  }
  if (random() % 2 == 0) co_return;
  try {
    co_await siding::wait_for(world.condition.wait(), limit);
  } catch (...) {
    const Inside inside(world.condition_held, 1);
    CHECK_NOTHROW(world.condition.notify());  // which only the holder may
    throw;
  }
  const Inside inside(world.condition_held, 1);
  co_await dawdle(random);
}

Task<> meet(World& world, Random& random, Limit limit) {
  if (random() % 2 == 0) {
    const std::size_t place = co_await siding::wait_for(world.barrier.wait(), limit);
    CHECK(place < parties);
    ++world.passed;
    co_return;
  }
  if (random() % 3 == 0) {
    world.event.set();
    world.event.clear();
  } else {
    co_await siding::wait_for(world.event.wait(), limit);
  }
}

Task<> act(World& world, Random& random) {
  const Limit limit = std::chrono::milliseconds(1 + random() % 4);
  switch (random() % 5) {
    case 0:
      return lock(world, random, limit);
    case 1:
      return acquire(world, random, limit);
    case 2:
      return pass_on(world, random, limit);
    case 3:
      return confer(world, random, limit);
    default:
      return meet(world, random, limit);
  }
}

Task<> live(World& world, unsigned seed) {
  Random random(seed);
  for (int i = 0; i < 500; ++i) {
    try {
      co_await act(world, random);
    } catch (const Cancelled&) {
      ++world.interrupted;
    } catch (const siding::TimeoutError&) {
      ++world.interrupted;
    }
  }
}

TEST_SUITE("coordination stress") {
  TEST_CASE("whatever is cancelled or late, nothing is held twice, lost or left behind") {
    const unsigned seed = siding_test::random_seed();
    INFO("SIDING_TEST_SEED=", seed);
    siding_test::VirtualLoop virtual_loop;
    World world;
    auto body = [&]() -> Task<> {
      Random random(seed);
      std::vector<Future<>> tasks;
      for (int i = 0; i < 30; ++i)
        tasks.push_back(siding::create_task(live(world, static_cast<unsigned>(random()))));
      const auto alive = [](const Future<>& task) { return !task.done(); };
      while (std::any_of(tasks.begin(), tasks.end(), alive)) {
        tasks[random() % tasks.size()].cancel();
        co_await dawdle(random);
      }
      for (const Future<>& task : tasks) {
        if (!task.cancelled()) co_await task;  // a request after the last wait ends it cancelled
      }
    };

    virtual_loop.loop.run_until_complete(body);

    CHECK_FALSE(world.mutex.locked());
    CHECK_FALSE(world.condition.locked());
    CHECK(world.semaphore.value() == permits);
    CHECK(world.semaphore.waiting() == 0);
    CHECK(world.barrier.waiting() == 0);
    CHECK(world.passed % static_cast<int>(parties) == 0);
    while (!world.queue.empty())
      world.got.push_back(world.queue.get_nowait());
    std::sort(world.put.begin(), world.put.end());
    std::sort(world.got.begin(), world.got.end());
    CHECK(world.put == world.got);
    // A tenth of what was seen: that it was not idle.
    CHECK(world.put.size() > 100);
    CHECK(world.passed > 100);
    CHECK(world.interrupted > 400);
  }
}

}  // namespace
}  // namespace siding_test::coordination_stress_test
