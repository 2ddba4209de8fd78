// SPDX-License-Identifier: MIT
// How often the library allocates, and how often it wakes a loop: numbers that must not grow.
//
// This program replaces the global operator new. Under a sanitizer that would hide errors from it,
// and the library recycles nothing there, so the counts of allocations are skipped.

#include <siding/barrier.hpp>
#include <siding/condition.hpp>
#include <siding/create_task.hpp>
#include <siding/detail/sanitizers.hpp>
#include <siding/event.hpp>
#include <siding/event_loop.hpp>
#include <siding/mutex.hpp>
#include <siding/offload.hpp>
#include <siding/queue.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/semaphore.hpp>
#include <siding/sleep.hpp>
#include <siding/stop_token.hpp>
#include <siding/thread_pool.hpp>
#include <siding/to_thread.hpp>
#include <siding/wait.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

#if !SIDING_SANITIZED
// noinline: g++ 12 would see the free() behind a delete and call it a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t align) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const auto alignment = static_cast<std::size_t>(align);
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

namespace siding_test::allocation_test {
namespace {

using namespace std::chrono_literals;
using siding::create_task;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding::to_thread;

constexpr int warm_up = 200;
constexpr int rounds = 1000;

/// Allocations of `rounds` times `round()`, in the steady state: after `warm_up` times.
template <class Round>
Task<std::uint64_t> allocations_of(Round round) {
  for (int i = 0; i < warm_up; ++i)
    co_await round();
  const std::uint64_t before = allocations.load();
  for (int i = 0; i < rounds; ++i)
    co_await round();
  co_return allocations.load() - before;
}

/// One worker: no thread is started, which allocates, while calls are counted.
std::shared_ptr<ThreadPool> one_worker() {
  return std::make_shared<ThreadPool>(siding::ThreadPoolOptions{.max_workers = 1});
}

int add(int a, int b) { return a + b; }

struct Block {
  std::byte bytes[64] = {};
};

}  // namespace

TEST_SUITE("allocations in the steady state" * doctest::skip(SIDING_SANITIZED) *
           doctest::description("skipped under sanitizers: nothing is recycled there")) {
  TEST_CASE("are counted by this program") {
    const std::uint64_t before = allocations.load();
    auto one = std::make_unique<int>(1);
    auto aligned = std::make_unique<ThreadPool>();
    CHECK(allocations.load() - before >= 2);
  }

  TEST_CASE("to_thread and offload: none, with arguments and results of any kind") {
    EventLoop loop;
    const auto pool = one_worker();
    loop.set_default_executor(pool);
    loop.run_until_complete([&]() -> Task<> {
      const auto plain = co_await allocations_of([]() -> Task<> {
        const int sum = co_await to_thread(add, 1, 2);
        CHECK(sum == 3);
      });
      CHECK(plain == 0);

      const auto chosen = co_await allocations_of([&]() -> Task<> {
        const int sum = co_await siding::offload(pool, add, 1, 2);
        CHECK(sum == 3);
      });
      CHECK(chosen == 0);

      const auto nothing = co_await allocations_of([]() -> Task<> { co_await to_thread([] {}); });
      CHECK(nothing == 0);

      const auto block = co_await allocations_of([]() -> Task<> {
        Block argument;
        co_await to_thread([](const Block& value) { return value; }, argument);
      });
      CHECK(block == 0);

      auto pointer = std::make_unique<int>(7);
      const auto move_only = co_await allocations_of([&]() -> Task<> {
        pointer = co_await to_thread([](std::unique_ptr<int> value) { return value; },
                                     std::move(pointer));
      });
      CHECK(move_only == 0);
      CHECK(*pointer == 7);

      const auto named = co_await allocations_of(
          []() -> Task<> { co_await to_thread({.name = "fifteen letters"}, add, 1, 2); });
      CHECK(named == 0);
      co_await loop.shutdown_default_executor();
    });
  }

  TEST_CASE("to_thread, the exceptions that are documented") {
    EventLoop loop;
    loop.set_default_executor(one_worker());
    loop.run_until_complete([&]() -> Task<> {
      // The state that a token shares with its source.
      const auto token =
          co_await allocations_of([]() -> Task<> { co_await to_thread([](std::stop_token) {}); });
      CHECK(token >= rounds);
      CHECK(token <= 2 * rounds);

      const auto name = co_await allocations_of([]() -> Task<> {
        co_await to_thread({.name = "a name of more than fifteen letters"}, add, 1, 2);
      });
      CHECK(name == rounds);

      const auto abandon = co_await allocations_of([]() -> Task<> {
        co_await to_thread({.on_cancel = siding::OnCancel::abandon}, add, 1, 2);
      });
      CHECK(abandon <= 2 * rounds);
      co_await loop.shutdown_default_executor();
    });
  }

  TEST_CASE("run_in_executor: the one of its state, which is recycled") {
    EventLoop loop;
    const auto pool = one_worker();
    loop.set_default_executor(pool);
    loop.run_until_complete([&]() -> Task<> {
      const auto awaited = co_await allocations_of([&]() -> Task<> {
        const int sum = co_await siding::run_in_executor(pool, add, 1, 2);
        CHECK(sum == 3);
      });
      CHECK(awaited == 0);

      const auto handle_kept = co_await allocations_of([&]() -> Task<> {
        const Future<int> future = siding::run_in_executor(pool, add, 1, 2);
        co_await future;
      });
      CHECK(handle_kept == 0);

      const auto default_pool = co_await allocations_of(
          []() -> Task<> { co_await siding::run_in_executor(nullptr, add, 1, 2); });
      CHECK(default_pool == 0);
      co_await loop.shutdown_default_executor();
    });
  }

  TEST_CASE("run_in_executor: at most one for a call whose future is dropped") {
    EventLoop loop;
    const auto pool = one_worker();
    loop.set_default_executor(pool);
    loop.run_until_complete([&]() -> Task<> {
      // The worker frees the state, on a list of its own.
      const auto dropped = co_await allocations_of([&]() -> Task<> {
        siding::run_in_executor(pool, add, 1, 2);
        co_await siding::yield();
      });
      CHECK(dropped <= rounds);
    });
  }

  TEST_CASE("tasks: none to call, none to spawn and join") {
    EventLoop loop;
    loop.run_until_complete([]() -> Task<> {
      const auto child = []() -> Task<int> { co_return 1; };
      const auto called = co_await allocations_of([&]() -> Task<> { co_await child(); });
      CHECK(called == 0);

      const auto joined =
          co_await allocations_of([&]() -> Task<> { co_await create_task(child()); });
      CHECK(joined == 0);

      const auto ten = co_await allocations_of([&]() -> Task<> {
        Future<int> futures[10];
        for (Future<int>& future : futures)
          future = create_task(child());
        for (const Future<int>& future : futures)
          co_await future;
      });
      CHECK(ten == 0);

      const auto eager = co_await allocations_of(
          [&]() -> Task<> { co_await create_task(child(), {.eager = true}); });
      CHECK(eager == 0);
    });
  }

  TEST_CASE("stop tokens: one to bind a task, and for a task's own its block and its state") {
    EventLoop loop;
    std::stop_source source;
    loop.run_until_complete([&source]() -> Task<> {
      const auto bound = co_await allocations_of([&source]() -> Task<> {
        const Future<> task = create_task([]() -> Task<> { co_await siding::yield(); });
        siding::cancel_on_stop(task, source.get_token());
        co_await task;
      });
      CHECK(bound == rounds);

      const auto asked = co_await allocations_of([]() -> Task<> {
        co_await create_task([]() -> Task<> {
          const std::stop_token first = siding::current_stop_token();
          const std::stop_token same = siding::current_stop_token();
          CHECK(first == same);
          co_return;
        });
      });
      CHECK(asked == 2 * rounds);
    });
  }

  TEST_CASE("sleep and yield: none") {
    EventLoop loop;
    loop.run_until_complete([]() -> Task<> {
      const auto yielded = co_await allocations_of([]() -> Task<> { co_await siding::yield(); });
      CHECK(yielded == 0);
      const auto slept = co_await allocations_of([]() -> Task<> { co_await siding::sleep(1us); });
      CHECK(slept == 0);
    });
  }

  TEST_CASE("mutex, semaphore, event, barrier, condition: none, whether they wait or not") {
    EventLoop loop;
    loop.run_until_complete([]() -> Task<> {
      siding::Mutex mutex;
      const auto locks = [&]() -> Task<> { const auto guard = co_await mutex.lock(); };
      const auto locked = co_await allocations_of(locks);
      CHECK(locked == 0);
      const auto contended = co_await allocations_of([&]() -> Task<> {
        auto guard = co_await mutex.lock();
        const Future<> waits = create_task(locks());
        co_await siding::yield();
        guard.release();
        co_await waits;
      });
      CHECK(contended == 0);

      siding::Semaphore semaphore(1);
      const auto acquires = [&]() -> Task<> { const auto permit = co_await semaphore.acquire(); };
      const auto acquired = co_await allocations_of([&]() -> Task<> {
        auto permit = co_await semaphore.acquire();
        const Future<> waits = create_task(acquires());
        co_await siding::yield();
        permit.release();
        co_await waits;
      });
      CHECK(acquired == 0);

      siding::Event event;
      siding::Barrier barrier(2);
      const auto meets = [&]() -> Task<> {
        co_await event.wait();
        co_await barrier.wait();
      };
      const auto met = co_await allocations_of([&]() -> Task<> {
        event.clear();
        const Future<> waits = create_task(meets());
        co_await siding::yield();
        event.set();
        co_await barrier.wait();
        co_await waits;
      });
      CHECK(met == 0);

      siding::Condition condition;
      bool told = false;
      const auto listens = [&]() -> Task<> {
        const auto guard = co_await condition.lock();
        co_await condition.wait([&] { return told; });
      };
      const auto notified = co_await allocations_of([&]() -> Task<> {
        told = false;
        const Future<> waits = create_task(listens());
        co_await siding::yield();
        auto guard = co_await condition.lock();
        told = true;
        condition.notify();
        guard.release();
        co_await waits;
      });
      CHECK(notified == 0);
    });
  }

  TEST_CASE("queues: none, once they have grown") {
    EventLoop loop;
    loop.run_until_complete([]() -> Task<> {
      const auto passes = [](auto& queue) -> Task<std::uint64_t> {
        return allocations_of([&queue]() -> Task<> {
          for (int i = 0; i < 10; ++i)
            co_await queue.put(i);
          for (int i = 0; i < 10; ++i)
            co_await queue.get();
        });
      };
      siding::Queue<int> queue;
      siding::LifoQueue<int> lifo;
      siding::PriorityQueue<int> priority;
      const auto first_in = co_await passes(queue);
      CHECK(first_in == 0);
      const auto last_in = co_await passes(lifo);
      CHECK(last_in == 0);
      const auto least = co_await passes(priority);
      CHECK(least == 0);

      siding::Queue<int> narrow(1);
      const auto puts = [&]() -> Task<> {
        for (int i = 0; i < 10; ++i)
          co_await narrow.put(i);
      };
      const auto waited = co_await allocations_of([&]() -> Task<> {
        const Future<> putter = create_task(puts());
        for (int i = 0; i < 10; ++i) {
          co_await narrow.get();
          narrow.task_done();
        }
        co_await narrow.join();
        co_await putter;
      });
      CHECK(waited == 0);
    });
  }
}

TEST_SUITE("wake-ups") {
  // RX-017
  TEST_CASE("there is at most one write to the loop's eventfd for each sleep") {
    EventLoop loop;
    ThreadPool pool({.max_workers = 4});
    loop.run_until_complete([&]() -> Task<> {
      for (int round = 0; round < 20; ++round) {
        std::vector<Future<>> callers;
        for (int i = 0; i < 200; ++i) {
          callers.push_back(create_task([&]() -> Task<> {
            co_await siding::offload(pool, add, 1, 2);
            co_await siding::run_in_executor(pool, add, 1, 2);
          }));
        }
        co_await siding::wait(callers);
      }
    });
    const siding::LoopCounters counters = loop.counters();
    CHECK(counters.wakes <= counters.sleeps);
    // On one processor the loop may run, and sleep again, after each single completion.
    if (std::thread::hardware_concurrency() > 1) CHECK(counters.wakes < 20 * 200 * 2 / 10);
  }

  // RX-017
  TEST_CASE("completions that come while the loop is busy wake nothing") {
    EventLoop loop;
    ThreadPool pool({.max_workers = 4});
    constexpr int count = 10'000;
    std::atomic<int> ran{0};
    loop.run_until_complete([&]() -> Task<> {
      int resumed = 0;
      std::vector<Future<>> callers;
      for (int i = 0; i < count; ++i) {
        callers.push_back(create_task([&]() -> Task<> {
          co_await siding::offload(pool, [&ran] { ++ran; });
          ++resumed;
        }));
      }
      co_await siding::yield();
      const siding::LoopCounters before = loop.counters();
      pool.shutdown();  // blocks the loop until all have completed
      CHECK(ran == count);
      CHECK(resumed == 0);

      co_await siding::wait(callers);

      CHECK(resumed == count);
      CHECK(loop.counters().wakes == before.wakes);
      CHECK(loop.counters().iterations - before.iterations <= 5);
    });
  }
}

}  // namespace siding_test::allocation_test
