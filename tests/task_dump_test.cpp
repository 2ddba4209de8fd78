// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <source_location>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/turns.hpp"
#include "support/virtual_loop.hpp"
#include "thread_interrupt.hpp"

namespace siding_test::task_dump_test {
namespace {

using namespace std::chrono_literals;
using siding_test::Gate;
using siding_test::VirtualLoop;

/// The lines that belong to one task of a dump: its own, and those of its places.
std::vector<std::string> lines_of(const std::string& dump, const std::string& task) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  bool inside = false;
  while (begin < dump.size()) {
    const std::size_t end = dump.find('\n', begin);
    const std::string line = dump.substr(begin, end - begin);
    begin = end == std::string::npos ? dump.size() : end + 1;
    if (!line.starts_with("    ")) inside = line.starts_with("task '" + task + "'");
    if (inside) lines.push_back(line);
  }
  return lines;
}

std::string first_line_of(const std::string& dump, const std::string& task) {
  const auto lines = lines_of(dump, task);
  return lines.empty() ? "" : lines.front();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr unsigned line_of_inner = std::source_location::current().line() + 2;
siding::Task<> inner() {
  co_await siding::sleep(90s);
}
constexpr unsigned line_of_outer = std::source_location::current().line() + 2;
siding::Task<> outer() {
  co_await inner();
}

siding::Task<> sleeper() { co_await siding::sleep(1h); }

TEST_SUITE("task dump") {
  // DB-007
  TEST_CASE("each task is told with its name, its age and what it waits for") {
    siding::EventLoop loop;
    Gate gate;
    siding::ThreadPool pool({.max_workers = 1});
    siding::Mutex mutex;
    siding::Queue<int> queue;
    siding::Queue<int> full(1);
    siding::Semaphore semaphore(0);
    siding::Event event;
    siding::Promise<int> promise;
    std::string dump;
    loop.run_until_complete([&]() -> siding::Task<> {
      auto guard = co_await mutex.lock();
      full.put_nowait(1);
      std::vector<siding::Future<void>> tasks;
      const auto start = [&](siding::Task<> task, std::string_view name) {
        tasks.push_back(siding::create_task(std::move(task), {.name = name}));
      };
      start(sleeper(), "sleeps");
      start([](auto& m) -> siding::Task<> { auto held = co_await m.lock(); }(mutex), "locks");
      start([](auto& q) -> siding::Task<> { co_await q.get(); }(queue), "gets");
      start([](auto& q) -> siding::Task<> { co_await q.put(2); }(full), "puts");
      start([](auto& s) -> siding::Task<> { auto permit = co_await s.acquire(); }(semaphore),
            "acquires");
      start([](auto& e) -> siding::Task<> { co_await e.wait(); }(event), "awaits event");
      start([](auto& p, auto key) -> siding::Task<> {
        co_await siding::offload(p, {.name = "resize"}, siding_test::pass, key);
      }(pool, gate.key()), "offloads");
      start([](auto f) -> siding::Task<> { co_await f; }(promise.future()), "awaits promise");
      start([](auto f) -> siding::Task<> { co_await f; }(tasks.front()), "awaits task");
      start([](auto a, auto b) -> siding::Task<> {
        co_await siding::gather(std::move(a), std::move(b));
      }(tasks[0], tasks[1]), "gathers");
      co_await siding_test::turns(5);
      gate.wait_for_arrivals(1);
      auto queued = siding::create_task(
          [](auto& p) -> siding::Task<> { co_await siding::offload(p, [] {}); }(pool),
          {.name = "queues"});
      auto unstarted = siding::create_task(sleeper(), {.name = "unstarted"});
      co_await siding::yield();
      auto new_one = siding::create_task(sleeper(), {.name = "new one"});

      dump = siding::dump_tasks();

      gate.open();
      co_await queued;
      for (auto& task : tasks) task.cancel();
      unstarted.cancel();
      new_one.cancel();
    });

    CHECK(contains(first_line_of(dump, "sleeps"), "waits for a timer, due in 35"));
    CHECK(contains(first_line_of(dump, "locks"), "waits for a Mutex"));
    CHECK(contains(first_line_of(dump, "gets"), "waits for an item of a Queue"));
    CHECK(contains(first_line_of(dump, "puts"), "waits for room in a Queue"));
    CHECK(contains(first_line_of(dump, "acquires"), "waits for a Semaphore"));
    CHECK(contains(first_line_of(dump, "awaits event"), "waits for an Event"));
    CHECK(contains(first_line_of(dump, "offloads"), "waits for call 'resize' (running)"));
    CHECK(contains(first_line_of(dump, "queues"), "waits for call (queued)"));
    CHECK(contains(first_line_of(dump, "awaits promise"), "waits for a Promise"));
    CHECK(contains(first_line_of(dump, "awaits task"), "waits for task 'sleeps'"));
    CHECK(contains(first_line_of(dump, "gathers"),
                   "waits for all of 2 futures, 0 done; first task 'sleeps'"));
    CHECK(contains(first_line_of(dump, "unstarted"), "waits for a timer"));
    CHECK(contains(first_line_of(dump, "new one"), "has not started"));
    CHECK(contains(dump, ", runs\n"));
    CHECK(dump.starts_with("14 tasks, "));
  }

  TEST_CASE("a task is told with the places from which it waits, the innermost first") {
    VirtualLoop virtual_loop;
    std::string dump;
    virtual_loop.loop.run_until_complete([&]() -> siding::Task<> {
      auto task = siding::create_task(outer(), {.name = "chain"});
      co_await siding::sleep(30s);
      auto late = siding::create_task(sleeper(), {.name = "late"});
      dump = siding::dump_tasks();
      task.cancel();
      late.cancel();
    });

    const auto lines = lines_of(dump, "chain");
    REQUIRE(lines.size() == 3);
    CHECK(contains(lines[0], "30.000 s old, waits for a timer, due in 60.000 s"));
    CHECK(contains(lines[1], "inner"));
    CHECK(contains(lines[1], "task_dump_test.cpp:" + std::to_string(line_of_inner) + ")"));
    CHECK(contains(lines[2], "outer"));
    CHECK(contains(lines[2], "task_dump_test.cpp:" + std::to_string(line_of_outer) + ")"));
    for (const auto& line : lines) CHECK_FALSE(contains(line, "Frame"));
    CHECK(contains(first_line_of(dump, "late"), ", 0.000 s old, "));
  }

  // AF-007
  TEST_CASE("current_task and all_tasks tell the truth, wherever they are asked") {
    siding::EventLoop loop;
    std::vector<std::string> names;
    std::string current;
    bool current_in_callback = true;
    std::size_t all_in_callback = 0;
    loop.run_until_complete([&]() -> siding::Task<> {
      auto b = siding::create_task(sleeper(), {.name = "b"});
      auto c = siding::create_task(siding_test::turns(1), {.name = "c"});
      co_await c;
      auto a = siding::create_task(
          [&]() -> siding::Task<> {
            current = siding::current_task().name();
            for (const auto& task : siding::all_tasks()) names.push_back(task.name());
            co_return;
          },
          {.name = "a"});
      co_await a;
      loop.call_soon([&] {
        current_in_callback = siding::current_task().valid();
        all_in_callback = siding::all_tasks().size();
      });
      co_await siding_test::turns(2);
      b.cancel();
    });

    CHECK(current == "a");
    REQUIRE(names.size() == 3);  // the first is the one that runs it all
    CHECK(names[1] == "b");
    CHECK(names[2] == "a");
    CHECK_FALSE(current_in_callback);
    CHECK(all_in_callback == 2);
    CHECK_FALSE(siding::current_task().valid());
    CHECK_THROWS_AS(siding::all_tasks(), siding::NoRunningLoop);
    CHECK_THROWS_AS(siding::dump_tasks(), siding::NoRunningLoop);
    CHECK(loop.all_tasks().size() == 0);
  }

  TEST_CASE("another thread gets the dump of a loop that sleeps, written by the loop") {
    siding::EventLoop loop;
    std::string dump;
    loop.run_until_complete([&]() -> siding::Task<> {
      auto task = siding::create_task(outer(), {.name = "chain"});
      co_await siding::yield();
      co_await siding::to_thread([&] { dump = loop.dump_tasks(); });
      task.cancel();
    });

    CHECK(lines_of(dump, "chain").size() == 3);
    CHECK_FALSE(contains(dump, "stuck"));
  }

  // DB-008
  TEST_CASE("another thread gets the dump of a loop that is stuck, with the stack of its thread") {
    siding::EventLoop loop;
    std::string dump;
    std::atomic<bool> stuck{false};
    std::atomic<bool> dumped{false};
    std::thread asks([&] {
      while (!stuck) std::this_thread::yield();
      dump = loop.dump_tasks();
      dumped = true;
    });
    loop.run_until_complete([&]() -> siding::Task<> {
      auto waiting = siding::create_task(outer(), {.name = "chain"});
      auto spins = siding::create_task(
          [&]() -> siding::Task<> {
            stuck = true;
            while (!dumped) std::this_thread::yield();
            co_return;
          },
          {.name = "spins"});
      co_await siding::yield();
      co_await spins;
      waiting.cancel();
    });
    asks.join();

    CHECK(lines_of(dump, "chain").size() == 3);
    CHECK(contains(first_line_of(dump, "spins"), ", runs"));
    CHECK(contains(dump, "the loop is stuck in task 'spins'; the stack of its thread:"));
  }

  TEST_CASE("a loop whose thread blocks SIGURG cannot be interrupted, and the text says so") {
    siding::EventLoop loop;
    std::string dump;
    std::atomic<bool> stuck{false};
    std::atomic<bool> dumped{false};
    std::thread asks([&] {
      while (!stuck) std::this_thread::yield();
      dump = loop.dump_tasks();
      dumped = true;
    });
    sigset_t urgent;
    ::sigemptyset(&urgent);
    ::sigaddset(&urgent, SIGURG);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &urgent, nullptr) == 0);
    loop.run_until_complete([&]() -> siding::Task<> {
      stuck = true;
      while (!dumped) std::this_thread::yield();
      co_return;
    });
    REQUIRE(::pthread_sigmask(SIG_UNBLOCK, &urgent, nullptr) == 0);
    asks.join();

    CHECK(contains(dump, "it blocks SIGURG"));
  }

  TEST_CASE("a loop that does not run, or is closed, can be asked too") {
    siding::EventLoop loop;
    auto task = loop.create_task(sleeper(), {.name = "later"});

    CHECK(contains(first_line_of(loop.dump_tasks(), "later"), "has not started"));
    CHECK(loop.all_tasks().size() == 1);

    loop.close();

    CHECK(loop.dump_tasks() == "the loop is closed");
    CHECK(loop.all_tasks().empty());
  }

  TEST_CASE("a task whose frame is being destroyed is told to be ending") {
    struct Dumps {
      explicit Dumps(std::string& text) : dump(&text) {}
      Dumps(Dumps&& other) noexcept : dump(std::exchange(other.dump, nullptr)) {}
      ~Dumps() {
        if (dump != nullptr) *dump = siding::dump_tasks();
      }
      std::string* dump;
    };
    siding::EventLoop loop;
    std::string dump;
    loop.run_until_complete([&]() -> siding::Task<> {
      auto task = siding::create_task(
          [](Dumps) -> siding::Task<> {
            // More than a step may have, so that the task goes on from within one of them.
            for (int i = 0; i < 200; ++i) co_await []() -> siding::Task<> { co_return; }();
          }(Dumps(dump)),
          {.name = "ends"});
      co_await task;
    });

    CHECK(contains(first_line_of(dump, "ends"), ", is ending"));
    CHECK(lines_of(dump, "ends").size() == 1);
  }

  TEST_CASE("bodies that are made by bodies have readable places, and none of the library's") {
    siding::EventLoop loop;
    std::string dump;
    loop.run_until_complete([&]() -> siding::Task<> {
      auto task = siding::create_task(
          []() -> siding::Task<> {
            co_await siding::with_task_group([](siding::TaskGroup& group) -> siding::Task<> {
              group.start(siding::sleep(1h), {.name = "child"});
              co_await siding::sleep(1h);
            });
          },
          {.name = "parent"});
      co_await siding_test::turns(3);
      dump = siding::dump_tasks();
      task.cancel();
    });

    const auto lines = lines_of(dump, "parent");
    REQUIRE(lines.size() == 3);
    for (const auto& line : lines) {
      CHECK_FALSE(contains(line, "Frame"));
      CHECK_FALSE(contains(line, "run_body"));
    }
    CHECK(contains(lines[1], "task_dump_test.cpp:"));
    CHECK(lines_of(dump, "child").size() == 1);
  }

  TEST_CASE("a child that is forked in an interruption can interrupt its own threads") {
    struct Forks final : siding::detail::Interruption {
      void run() noexcept override {
        child = ::fork();
        if (child != 0) return;
        { const siding::detail::NoInterruption free; }  // as another interruption would begin
        ::_exit(7);
      }
      pid_t child = -1;
    } forks;
    std::atomic<pid_t> thread{0};
    std::atomic<bool> done{false};
    std::thread interrupted([&] {
      thread = ::gettid();
      while (!done) std::this_thread::yield();
    });
    while (thread == 0) std::this_thread::yield();

    const auto result = siding::detail::interrupt_thread(thread, forks, 20s);
    done = true;
    interrupted.join();

    CHECK(result == siding::detail::InterruptResult::done);
    int status = 0;
    REQUIRE(::waitpid(forks.child, &status, 0) == forks.child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(siding::detail::interrupt_thread(thread, forks, 20s) ==
          siding::detail::InterruptResult::gone);
  }

  TEST_CASE("a dump of very many tasks is whole") {
    siding::EventLoop loop;
    std::string dump;
    loop.run_until_complete([&]() -> siding::Task<> {
      std::vector<siding::Future<void>> tasks;
      for (int i = 0; i < 3000; ++i) tasks.push_back(siding::create_task(outer()));
      co_await siding::yield();
      dump = siding::dump_tasks();
      for (auto& task : tasks) task.cancel();
    });

    std::size_t waiting = 0;
    for (std::size_t at = 0; (at = dump.find("waits for a timer", at)) != std::string::npos; ++at) {
      ++waiting;
    }
    CHECK(waiting == 3000);
  }
}

}  // namespace
}  // namespace siding_test::task_dump_test
