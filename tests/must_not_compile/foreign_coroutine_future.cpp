// SPDX-License-Identifier: MIT
// expect: siding's awaitables can be awaited only in a coroutine that returns siding::Task
#include <siding/future.hpp>
#include <siding/task.hpp>

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

siding::Future<> step();

#ifdef SIDING_GOOD
siding::Task<> all_steps() { co_await step(); }
#else
Foreign all_steps() { co_await step(); }
#endif
