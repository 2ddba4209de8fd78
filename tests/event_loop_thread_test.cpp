// SPDX-License-Identifier: MIT
// A loop that is used on a thread that does not run it.
#include <siding/event_loop.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

namespace siding_test::event_loop_thread_test {
namespace {

using namespace std::chrono_literals;
using siding::EventLoop;
using siding::Task;

Task<int> value_of(int value) { co_return value; }

std::string refusal(const std::string& name) {
  return name + ": this event loop is running on another thread; use call_soon_threadsafe() there";
}

TEST_SUITE("EventLoop on another thread") {
  TEST_CASE("while it runs, only call_soon_threadsafe and stop are for other threads") {
    EventLoop loop;
    std::promise<void> running;
    loop.call_soon([&running] { running.set_value(); });
    std::thread runner([&loop] { loop.run_forever(); });
    running.get_future().wait();
    const auto call = [] {};

    CHECK_THROWS_WITH_AS(loop.call_soon(call), refusal("call_soon").c_str(), std::logic_error);
    CHECK_THROWS_WITH_AS(loop.call_later(1s, call), refusal("call_later").c_str(),
                         std::logic_error);
    CHECK_THROWS_WITH_AS(loop.call_at(loop.time(), call), refusal("call_at").c_str(),
                         std::logic_error);
    CHECK_THROWS_WITH_AS(loop.create_task(value_of(1)), refusal("create_task").c_str(),
                         std::logic_error);
    bool called = false;
    loop.call_soon_threadsafe([&called] { called = true; });
    loop.stop();
    runner.join();

    CHECK(called);
  }

  TEST_CASE("before it runs, the thread that prepares it need not be the one that runs it") {
    EventLoop loop;
    int value = 0;
    loop.call_soon([&value] { ++value; });
    const auto task = loop.create_task(value_of(2));

    std::thread([&] { value += loop.run_until_complete(value_of(4)); }).join();

    CHECK(value == 5);
    CHECK(task.result() == 2);
  }
}

}  // namespace
}  // namespace siding_test::event_loop_thread_test
