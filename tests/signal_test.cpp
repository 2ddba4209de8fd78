// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/leak_guard.hpp"
#include "support/reports.hpp"
#include "support/thread_state.hpp"
#include "support/turns.hpp"

namespace siding_test::signal_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Future;
using siding::Task;

std::string action_of(int signal) {
  struct sigaction action {};
  REQUIRE(::sigaction(signal, nullptr, &action) == 0);
  if (action.sa_handler == SIG_DFL) return "default";
  return action.sa_handler == SIG_IGN ? "ignored" : "handled";
}

}  // namespace

TEST_SUITE("signals") {
  // SG-001
  TEST_CASE("a handler runs on the loop's thread as an ordinary callback, and may do anything") {
    siding::run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      const auto here = std::this_thread::get_id();
      siding::Promise<int> promise;
      const Future<int> told = promise.future();
      loop.add_signal_handler(SIGUSR1, [&] {
        CHECK(std::this_thread::get_id() == here);
        siding::create_task([&]() -> Task<> {
          co_await siding::yield();
          promise.set_value(5);
        });
      });
      CHECK(loop.has_signal_handler(SIGUSR1));
      std::thread([] { ::raise(SIGUSR1); }).join();
      const int value = co_await told;
      CHECK(value == 5);
    });
    CHECK(action_of(SIGUSR1) == "default");
  }

  TEST_CASE("a signal wakes a loop that sleeps in the kernel") {
    EventLoop loop;
    int count = 0;
    loop.add_signal_handler(SIGUSR1, [&] {
      ++count;
      loop.stop();
    });
    for (int round = 1; round <= 20; ++round) {
      std::thread raiser([loop_thread = ::gettid()] {
        while (!is_asleep(loop_thread)) std::this_thread::yield();
        ::kill(::getpid(), SIGUSR1);
      });
      loop.run_forever();
      raiser.join();
      CHECK(count == round);
    }
  }

  // SG-002
  TEST_CASE("signals that cannot be handled are refused, and nothing has changed") {
    EventLoop loop;
    const std::string before = action_of(SIGSEGV);
    for (const int signal : {0, -1, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, 32}) {
      CHECK_THROWS_AS(loop.add_signal_handler(signal, [] {}), std::invalid_argument);
    }
    CHECK(action_of(SIGSEGV) == before);
    CHECK_FALSE(loop.remove_signal_handler(SIGUSR1));
    CHECK_FALSE(loop.remove_signal_handler(-5));
  }

  // SG-003
  TEST_CASE("a storm of one signal is told at least once after its last, and the loop goes on") {
    siding::run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      int raised = 0;
      int seen = 0;
      loop.add_signal_handler(SIGUSR2, [&] { seen = raised; });
      for (; raised < 10'000; ++raised) ::raise(SIGUSR2);
      while (seen < raised) co_await siding::sleep(100us);
      CHECK(seen == 10'000);
    });
  }

  // SG-004
  TEST_CASE("a coroutine can await the next signal, and a wait that is cancelled leaves no handler") {
    siding::run([]() -> Task<> {
      const Future<int> wait = siding::create_task(siding::next_signal(SIGUSR1, SIGUSR2));
      co_await turns(2);
      ::raise(SIGUSR2);
      const int number = co_await wait;
      CHECK(number == SIGUSR2);
      CHECK(action_of(SIGUSR1) == "default");
      CHECK(action_of(SIGUSR2) == "default");

      const Future<int> cancelled = siding::create_task(siding::next_signal(SIGUSR1));
      co_await turns(2);
      CHECK(action_of(SIGUSR1) == "handled");
      cancelled.cancel();
      co_await siding::wait(cancelled);
      CHECK(cancelled.cancelled());
      CHECK(action_of(SIGUSR1) == "default");
    });
  }

  TEST_CASE("a signal that comes as the wait for it is cancelled does what it did before") {
    static std::atomic<int> calls{0};
    struct sigaction counting {};
    counting.sa_handler = [](int) { ++calls; };
    struct sigaction before {};
    REQUIRE(::sigaction(SIGUSR1, &counting, &before) == 0);
    for (int turns_between = 0; turns_between < 4; ++turns_between) {
      calls = 0;
      int told = 0;
      siding::run([&]() -> Task<> {
        const Future<void> wait = siding::create_task([&told]() -> Task<> {
          co_await siding::next_signal(SIGUSR1);
          ++told;
        });
        co_await turns(2);
        ::raise(SIGUSR1);
        co_await turns(turns_between);
        wait.cancel();
        co_await siding::wait(wait);
      });

      CHECK(told + calls == 1);
    }
    ::sigaction(SIGUSR1, &before, nullptr);
  }

  TEST_CASE("a second wait for a signal, and one beside a handler, is refused") {
    siding::run([]() -> Task<> {
      EventLoop::current().add_signal_handler(SIGUSR1, [] {});
      const auto outcome = co_await siding::outcome_of(siding::next_signal(SIGUSR2, SIGUSR1));
      CHECK_THROWS_AS(outcome.value(), siding::InvalidStateError);
      CHECK(action_of(SIGUSR2) == "default");
      CHECK(EventLoop::current().has_signal_handler(SIGUSR1));
    });
  }

  TEST_CASE("a handler can be replaced and removed, also between the signal and its turn") {
    siding::run([]() -> Task<> {
      EventLoop& loop = EventLoop::current();
      std::vector<int> told;
      loop.add_signal_handler(SIGUSR1, [&] { told.push_back(1); });
      loop.add_signal_handler(SIGUSR1, [&] { told.push_back(2); });
      ::raise(SIGUSR1);
      co_await turns(5);
      CHECK(told == std::vector{2});

      ::raise(SIGUSR1);
      CHECK(loop.remove_signal_handler(SIGUSR1));
      CHECK_FALSE(loop.remove_signal_handler(SIGUSR1));
      co_await turns(5);
      CHECK(told == std::vector{2});
    });
  }

  TEST_CASE("what a handler throws goes to the exception handler, and it is called again") {
    EventLoop loop;
    const Reports reports(loop);
    int calls = 0;
    loop.add_signal_handler(SIGUSR1, [&] {
      ++calls;
      throw std::runtime_error("from the handler");
    });
    loop.run_until_complete([&]() -> Task<> {
      for (int i = 1; i <= 2; ++i) {
        ::raise(SIGUSR1);
        while (calls < i) co_await siding::sleep(100us);
      }
    }());
    CHECK(reports.size() == 2);
  }

  TEST_CASE("a signal belongs to one loop, until that gives it back or is closed") {
    EventLoop first;
    {
      EventLoop second;
      second.add_signal_handler(SIGUSR1, [] {});
      CHECK_THROWS_AS(first.add_signal_handler(SIGUSR1, [] {}), std::logic_error);
    }
    CHECK(action_of(SIGUSR1) == "default");
    CHECK_NOTHROW(first.add_signal_handler(SIGUSR1, [] {}));
    first.close();
    CHECK(action_of(SIGUSR1) == "default");
  }

  TEST_CASE("a signal that was ignored before is ignored again") {
    ::signal(SIGUSR1, SIG_IGN);
    {
      EventLoop loop;
      loop.add_signal_handler(SIGUSR1, [] {});
    }
    CHECK(action_of(SIGUSR1) == "ignored");
    ::signal(SIGUSR1, SIG_DFL);
  }

  TEST_CASE("a handler for SIGINT takes it from run(), which gives the default back in the end") {
    int told = 0;
    siding::run([&]() -> Task<> {
      EventLoop::current().add_signal_handler(SIGINT, [&] { ++told; });
      ::raise(SIGINT);
      while (told == 0) co_await siding::sleep(100us);
    });
    CHECK(told == 1);
    CHECK(action_of(SIGINT) == "default");
  }

  TEST_CASE("a signal that is raised while the loop does not run is told when it does") {
    EventLoop loop;
    int told = 0;
    loop.add_signal_handler(SIGUSR1, [&] { ++told; });
    ::raise(SIGUSR1);
    loop.run_until_complete(turns(5));
    CHECK(told == 1);
  }

  TEST_CASE("a forked child does not ring its parent: the signal has its default action there") {
    EventLoop loop;
    int told = 0;
    loop.add_signal_handler(SIGUSR1, [&] { ++told; });
    const pid_t child = ::fork();
    if (child == 0) {
      ::raise(SIGUSR1);
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGUSR1);
    loop.run_until_complete(turns(5));
    CHECK(told == 0);
  }
}

}  // namespace siding_test::signal_test
