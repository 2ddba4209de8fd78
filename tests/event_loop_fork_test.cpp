// SPDX-License-Identifier: MIT
// What a child process of fork() may do with the loop of its parent.
#include <siding/event_loop.hpp>

#include <siding/error.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/to_thread.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/counted.hpp"
#include "support/log_capture.hpp"

namespace siding_test::event_loop_fork_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Future;
using siding::Task;
using siding_test::Counted;
using siding_test::Counts;

Task<int> value_of(int value) {
  co_await siding::yield();
  co_return value;
}

// Makes the calling thread the loop's own.
void run_a_little(EventLoop& loop) { loop.run_until_complete(value_of(0)); }

// What `refused` throws in the child, as an exit status: 0 is right.
int refusal(const std::function<void()>& refused) {
  try {
    refused();
  } catch (const std::logic_error& error) {
    const std::string text = error.what();
    return text.find("belongs to the parent process; make a new one after fork()") !=
                   std::string::npos
               ? 0
               : 2;
  } catch (...) {
    return 3;
  }
  return 1;
}

TEST_SUITE("EventLoop after fork()") {
  // IO-005
  TEST_CASE("a child is refused by each function of its parent's loop, which goes on") {
    EventLoop loop;
    run_a_little(loop);
    const Future<int> task = loop.create_task(value_of(6));
    const auto call = [] {};
    const std::vector<std::function<void()>> uses = {
        [&] { loop.call_soon(call); },
        [&] { loop.call_later(1s, call); },
        [&] { loop.call_at(loop.time(), call); },
        [&] { loop.call_soon_threadsafe(call); },
        [&] { loop.create_task(value_of(1)); },
        [&] { loop.run_until_complete(value_of(1)); },
        [&] { loop.run_forever(); },
        [&] { loop.set_default_executor(nullptr); },
    };

    for (std::size_t i = 0; i < uses.size(); ++i) {
      CAPTURE(i);
      CHECK(siding_test::status_in_child([&] { return refusal(uses[i]); }) == 0);
    }

    CHECK_FALSE(task.done());
    auto joins = [&]() -> Task<int> { co_return co_await task; };
    CHECK(loop.run_until_complete(joins) == 6);
  }

  TEST_CASE("a child may destroy its parent's runner, and nothing is written to the log") {
    auto runner = std::make_unique<siding::Runner>();
    runner->run(value_of(0));
    runner->loop().call_later(1h, [] {});

    const int status = siding_test::status_in_child([&runner] {
      const siding_test::LogCapture log;
      runner.reset();
      return log.lines().empty() ? 0 : 1;
    });

    CHECK(status == 0);
    CHECK(runner->run(value_of(5)) == 5);
  }

  // IO-005
  TEST_CASE("a child may destroy its parent's loop, and run one of its own") {
    Counts counts;
    auto loop = std::make_unique<EventLoop>();
    loop->call_later(1h, [kept = Counted(counts)] {});
    bool woken = false;
    run_a_little(*loop);

    const int status = siding_test::status_in_child([&] {
      loop->close();
      if (!loop->is_closed()) return 1;
      loop.reset();
      return siding::run(value_of(7)) == 7 ? 0 : 2;
    });
    CHECK(status == 0);

    std::thread other([&] {
      loop->call_soon_threadsafe([&] {
        woken = true;
        loop->stop();
      });
    });
    loop->run_forever();
    other.join();
    CHECK(woken);
    loop.reset();
    CHECK(counts.alive() == 0);
  }

  // IO-005
  TEST_CASE("a child may destroy its parent's loop although that has a default pool with workers") {
    auto loop = std::make_unique<EventLoop>();
    auto body = []() -> Task<int> { co_return co_await siding::to_thread([] { return 8; }); };
    CHECK(loop->run_until_complete(body) == 8);

    const int status = siding_test::status_in_child([&] {
      loop.reset();
      return 0;
    });

    CHECK(status == 0);
    CHECK(loop->run_until_complete(body) == 8);
  }

  // IO-005
  TEST_CASE("a child forked inside a running loop cannot go on with it") {
    EventLoop loop;
    int forks = 0;
    int status = -1;
    auto body = [&]() -> Task<int> {
      const pid_t parent = ::getpid();
      const pid_t child = ::fork();
      if (child == 0) ::alarm(static_cast<unsigned>(siding_test::hang_limit.count()));
      ++forks;
      for (int turn = 0; turn < 1000; ++turn)
        co_await siding::yield();
      co_await siding::sleep(1ms);
      if (::getpid() != parent) ::_exit(1);
      status = siding_test::status_of(child);
      co_return 9;
    };
    const pid_t parent = ::getpid();
    int result = 0;

    try {
      result = loop.run_until_complete(body);
    } catch (const siding::InvalidStateError& error) {
      const std::string text = error.what();
      if (::getpid() == parent) throw;
      ::_exit(text == "an event loop cannot be used in a child process of fork()" ? 0 : 2);
    }

    CHECK(result == 9);
    CHECK(forks == 1);
    CHECK(status == 0);
  }
}

}  // namespace
}  // namespace siding_test::event_loop_fork_test
