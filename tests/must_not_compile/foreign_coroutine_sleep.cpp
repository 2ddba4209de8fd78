// SPDX-License-Identifier: MIT
// expect: siding's awaitables can be awaited only in a coroutine that returns siding::Task
#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <chrono>
#include <coroutine>

// A coroutine type of somebody else.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

#ifdef SIDING_GOOD
siding::Task<> take_a_break() { co_await siding::sleep(std::chrono::seconds(1)); }
#else
Foreign take_a_break() { co_await siding::sleep(std::chrono::seconds(1)); }
#endif
