// SPDX-License-Identifier: MIT
// What a coroutine's frame holds, when that goes, and where the memory of frames goes.
#include <siding/create_task.hpp>
#include <siding/detail/recycler.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <latch>
#include <numeric>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counted.hpp"

namespace siding_test::task_frames_test {
namespace {

using siding::Task;
using siding::detail::Recycler;
using siding::detail::recycler;
using siding_test::Counted;
using siding_test::Counts;

using Log = std::vector<std::string>;

// Writes its name when it is destroyed.
class Farewell {
 public:
  Farewell(Log& log, std::string name) : log_(&log), name_(std::move(name)) {}
  Farewell(Farewell&& other) noexcept
      : log_(std::exchange(other.log_, nullptr)), name_(std::move(other.name_)) {}
  Farewell& operator=(const Farewell&) = delete;
  ~Farewell() {
    if (log_ != nullptr) log_->push_back(name_);
  }

 private:
  Log* log_;
  std::string name_;
};

// Blocks that this thread keeps to make frames of.
std::size_t kept_blocks() {
  std::size_t count = 0;
  for (const Recycler::Block* block : recycler.blocks) {
    for (; block != nullptr; block = block->next)
      ++count;
  }
  return count;
}

Task<int> value_of(Counted counted) {
  co_await siding::yield();
  co_return counted.value();
}

// Not inlined: clang would put the frame on the caller's stack.
[[gnu::noinline]] Task<> empty_task() { co_return; }
#if !SIDING_SANITIZED
[[gnu::noinline]] Task<int> large_task() {
  std::array<int, 1000> numbers{};
  co_await siding::yield();
  co_return std::accumulate(numbers.begin(), numbers.end(), 0);
}
#endif

TEST_SUITE("Task") {
  TEST_CASE("locals are destroyed in reverse order before the caller goes on, arguments after") {
    Log log;
    const auto body = [](Log& lines, Farewell) -> Task<> {
      const Farewell outer(lines, "outer");
      co_await siding::yield();
      const Farewell inner(lines, "inner");
      lines.emplace_back("body ends");
    };
    siding::run([&]() -> Task<> {
      {
        auto task = body(log, Farewell(log, "argument"));
        co_await task;
        log.emplace_back("caller goes on");
      }
      log.emplace_back("task is gone");
    });

    CHECK(log == Log{"body ends", "inner", "outer", "caller goes on", "argument", "task is gone"});
  }

  TEST_CASE("locals are destroyed in reverse order before the caller sees an exception") {
    Log log;
    const auto body = [](Log& lines) -> Task<> {
      const Farewell outer(lines, "outer");
      const Farewell inner(lines, "inner");
      co_await siding::yield();
      throw 7;
      lines.emplace_back("not reached");
    };
    siding::run([&]() -> Task<> {
      try {
        co_await body(log);
      } catch (int) {
        log.emplace_back("caught");
      }
    });

    CHECK(log == Log{"inner", "outer", "caught"});
  }

  TEST_CASE(
      "closing the loop destroys the frames of a task that still waits, the innermost first") {
    Log log;
    const auto inner = [](Log& lines) -> Task<> {
      const Farewell local(lines, "inner local");
      co_await siding::sleep(siding::Limit());
      lines.emplace_back("not reached");
    };
    const auto outer = [&inner](Log& lines, Farewell) -> Task<> {
      const Farewell local(lines, "outer local");
      co_await inner(lines);
    };
    siding::EventLoop loop;
    auto future = loop.create_task(outer(log, Farewell(log, "outer argument")));
    loop.call_soon([&loop] { loop.stop(); });
    loop.run_forever();
    CHECK(log.empty());

    loop.close();

    CHECK(log == Log{"inner local", "outer local", "outer argument"});
    CHECK_THROWS_AS(future.result(), siding::LoopClosed);
  }

  TEST_CASE(
      "the frame of a task that was awaited goes with the task, that of a spawned one at its end") {
    Counts counts;
    siding::run([&]() -> Task<> {
      {
        auto task = value_of(Counted(counts));
        co_await task;
        CHECK(counts.alive() == 1);
      }
      CHECK(counts.alive() == 0);

      const auto future = siding::create_task(value_of(Counted(counts)));
      co_await future;
      CHECK(counts.alive() == 0);
    });
  }

#if !SIDING_SANITIZED
  TEST_CASE("the memory of a frame is kept by the thread and used for the next one") {
    std::thread([] {
      { const auto first = empty_task(); }
      const std::size_t before = kept_blocks();
      CHECK(before == 1);
      {
        const auto second = empty_task();
        CHECK(kept_blocks() == before - 1);
      }
      CHECK(kept_blocks() == before);
    }).join();
  }

  TEST_CASE("the memory of a frame is kept by the thread that frees it") {
    std::thread([] {
      std::optional<Task<>> task = empty_task();
      std::thread([&] {
        task.reset();
        CHECK(kept_blocks() == 1);
      }).join();
      CHECK(kept_blocks() == 0);
    }).join();
  }

  TEST_CASE("a large frame is not kept") {
    std::thread([] {
      { const auto task = large_task(); }
      CHECK(kept_blocks() == 0);
    }).join();
  }
#else
  TEST_CASE("under a sanitizer no memory is kept: a use after free would be hidden") {
    std::thread([] {
      { const auto task = empty_task(); }
      CHECK(kept_blocks() == 0);
    }).join();
  }
#endif

  TEST_CASE("a task may be made on one thread, run on another, and be destroyed on a third") {
    Counts counts;
    std::vector<Task<int>> tasks;
    std::thread([&] {
      for (int i = 0; i < 100; ++i)
        tasks.push_back(value_of(Counted(counts, i)));
    }).join();
    CHECK(counts.alive() == 100);

    int sum = 0;
    std::thread([&] {
      sum = siding::run([&]() -> Task<int> {
        int total = 0;
        for (auto& task : tasks) {
          const int got = co_await task;
          total += got;
        }
        co_return total;
      });
    }).join();
    CHECK(sum == 4950);
    CHECK(counts.alive() == 100);

    tasks.clear();
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("tasks made by other threads for a running loop end on the loop's thread") {
    constexpr int makers = 4;
    constexpr int tasks_of_each = 500;
    Counts counts;
    std::atomic<int> sum{0};
    siding::EventLoop loop;
    std::atomic<int> left{makers * tasks_of_each};
    const auto body = [&](Counted counted) -> Task<> {
      co_await siding::yield();
      sum += counted.value();
      if (--left == 0) loop.stop();
    };

    std::latch start(makers);
    std::vector<std::thread> threads;
    for (int i = 0; i < makers; ++i) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        for (int n = 0; n < tasks_of_each; ++n) {
          loop.call_soon_threadsafe([task = body(Counted(counts, 1))]() mutable {
            siding::create_task(std::move(task));
          });
        }
      });
    }
    loop.run_forever();
    for (std::thread& thread : threads)
      thread.join();

    CHECK(sum == makers * tasks_of_each);
    loop.close();
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("tasks that another thread has dropped unstarted release their arguments there") {
    Counts counts;
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 1000; ++i)
      tasks.push_back(value_of(Counted(counts)));

    std::thread([&] { tasks.clear(); }).join();

    CHECK(counts.alive() == 0);
  }
}

}  // namespace
}  // namespace siding_test::task_frames_test
