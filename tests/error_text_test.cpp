// SPDX-License-Identifier: MIT
// What errors say: what has happened, to what, and what to do about it.

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/gate.hpp"
#include "support/log_capture.hpp"
#include "support/no_threads.hpp"

namespace siding_test::error_text_test {
namespace {

using namespace std::chrono_literals;
using siding::Limit;
using siding::Task;
using siding::ThreadPool;

// What `use` throws says.
template <class Use>
std::string text_of(Use use) {
  try {
    use();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::string text_of_timeout(Limit limit) {
  return text_of([limit] {
    siding::run([limit]() -> Task<> { co_await siding::wait_for(siding::sleep(Limit()), limit); });
  });
}

TEST_SUITE("the text of an error") {
  TEST_CASE("a timeout names the limit in a unit that suits, without noise") {
    const auto expected = [](const std::string& limit) {
      return "wait_for: what was awaited has not ended within the limit of " + limit +
             "; allow it more, or catch TimeoutError";
    };

    CHECK(text_of_timeout(std::chrono::duration<double>(0.001)) == expected("1 ms"));
    CHECK(text_of_timeout(std::chrono::duration<double>(0.0015)) == expected("1.5 ms"));
    CHECK(text_of_timeout(1ns) == expected("1 ns"));
    CHECK(text_of_timeout(20us) == expected("20 us"));
    CHECK(text_of_timeout(0s) == expected("0 s"));
    CHECK(text_of_timeout(-3h) == expected("-10800 s"));
  }

  TEST_CASE("a get() that is late says that the future goes on") {
    ThreadPool pool{{.max_workers = 1}};
    siding_test::Gate gate;
    const auto future = pool.submit(siding_test::pass, gate.key());

    CHECK(text_of([&] { future.get(1ns); }) ==
          "the future was not done within the limit of get() or map(); it goes on: get() it again, "
          "or "
          "cancel() it");
  }

  TEST_CASE("a pool that cannot start a thread names the limits to look at" *
            doctest::skip(!siding_test::can_forbid_new_threads())) {
    std::string text;
    siding_test::without_new_threads([&text] {
      text = text_of([] {
        ThreadPool pool;
        static_cast<void>(pool.submit([] {}));
      });
    });

    CHECK(
        text.find("the thread pool could not start a thread (see the limits of threads: ulimit -u, "
                  "pids.max of the control group, kernel.threads-max; or memory is short for its stack)") == 0);
  }

  TEST_CASE("an executor whose stop() throws at the end of a run is named in the log") {
    struct Unstoppable final : siding::Executor {
      void enqueue(siding::Job job) override { job.run(); }
      bool stop(const siding::ShutdownOptions&) override { throw std::runtime_error("stuck"); }
    };
    const siding_test::LogCapture log;
    siding::run([]() -> Task<> {
      siding::EventLoop::current().set_default_executor(std::make_shared<Unstoppable>());
      co_return;
    });

    REQUIRE(log.lines().size() == 2);
    CHECK(
        log.lines()[0] ==
        "ending a run failed; call Runner::close() to catch this error (it may be from the stop() "
        "of an executor): std::runtime_error: stuck");
    CHECK(log.lines()[1] ==
          "the stop() of a default executor threw while its loop was closed; it must not: "
          "std::runtime_error: stuck");
  }
}

}  // namespace
}  // namespace siding_test::error_text_test
