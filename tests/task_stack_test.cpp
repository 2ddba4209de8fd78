// SPDX-License-Identifier: MIT
// Tasks that end at once go from one to the next without the loop. Where the compiler makes calls
// of that, the stack would grow: so this program is built twice, as the others and unoptimised.
#include <siding/create_task.hpp>
#include <siding/detail/sanitizers.hpp>
#include <siding/promise.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "support/awaitables.hpp"

namespace siding_test::task_stack_test {
namespace {

using siding::Task;

constexpr int million = 1'000'000;
// Four times what was measured with g++ 12.2 (the worst: unoptimised; under the address sanitizer),
// and far below the 8 MiB of a thread, which a million awaits overflow where each one needs stack.
constexpr std::size_t allowed_stack = SIDING_SANITIZED ? 864 * 1024 : 64 * 1024;

// How far the stack of this thread has been used.
class StackUse {
 public:
  [[gnu::noinline]] void look() {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    lowest_ = std::min(lowest_, here);
    highest_ = std::max(highest_, here);
  }
  std::size_t bytes() const { return highest_ - lowest_; }

 private:
  std::uintptr_t lowest_ = std::numeric_limits<std::uintptr_t>::max();
  std::uintptr_t highest_ = 0;
};

Task<int> at_once(StackUse& stack, int value) {
  stack.look();
  co_return value;
}
Task<> throw_at_once(StackUse& stack) {
  stack.look();
  throw std::runtime_error("at once");
  co_return;
}
Task<int> nested(StackUse& stack, int depth) {
  stack.look();
  if (depth == 0) co_return 0;
  const int below = co_await nested(stack, depth - 1);
  stack.look();
  co_return below + 1;
}

TEST_SUITE("Task") {
  // CC-003
  TEST_CASE("a million awaits of tasks that end at once use constant stack") {
    StackUse stack;
    const std::int64_t sum = siding::run([&]() -> Task<std::int64_t> {
      std::int64_t total = 0;
      for (int i = 0; i < million; ++i) {
        const int got = co_await at_once(stack, i);
        stack.look();
        total += got;
      }
      co_return total;
    });

    CHECK(sum == std::int64_t{million} * (million - 1) / 2);
    CHECK(stack.bytes() < allowed_stack);
  }

  // CC-003
  TEST_CASE("a hundred thousand awaits through three coroutines use constant stack") {
    StackUse stack;
    const std::int64_t sum = siding::run([&]() -> Task<std::int64_t> {
      std::int64_t total = 0;
      for (int i = 0; i < million / 10; ++i) {
        const int got = co_await nested(stack, 3);
        total += got;
      }
      co_return total;
    });

    CHECK(sum == million / 10 * 3);
    CHECK(stack.bytes() < allowed_stack);
  }

  TEST_CASE("ten thousand tasks that throw at once use constant stack") {
    StackUse stack;
    const int caught = siding::run([&]() -> Task<int> {
      int count = 0;
      for (int i = 0; i < million / 100; ++i) {
        try {
          co_await throw_at_once(stack);
        } catch (const std::runtime_error&) {
          stack.look();
          ++count;
        }
      }
      co_return count;
    });

    CHECK(caught == million / 100);
    CHECK(stack.bytes() < allowed_stack);
  }

  TEST_CASE("a recursion of a hundred thousand tasks uses constant stack") {
    StackUse stack;
    const int depth = siding::run(nested(stack, million / 10));

    CHECK(depth == million / 10);
    CHECK(stack.bytes() < allowed_stack);
  }

  TEST_CASE("a million awaits of a future that is done use constant stack") {
    StackUse stack;
    const int sum = siding::run([&]() -> Task<int> {
      siding::Promise<int> promise;
      promise.set_value(1);
      const siding::Future<int> future = promise.future();
      int total = 0;
      for (int i = 0; i < million; ++i) {
        const int got = co_await future;
        stack.look();
        total += got;
      }
      co_return total;
    });

    CHECK(sum == million);
    CHECK(stack.bytes() < allowed_stack);
  }

  TEST_CASE("a million awaits of awaitables that do not suspend use constant stack") {
    StackUse stack;
    const int sum = siding::run([&]() -> Task<int> {
      int total = 0;
      for (int i = 0; i < million; ++i) {
        const int got = co_await siding_test::ReadyAtLast();
        stack.look();
        total += got;
      }
      co_return total;
    });

    CHECK(sum == 7 * million);
    CHECK(stack.bytes() < allowed_stack);
  }

  TEST_CASE("tasks that end at once let other tasks in between") {
    StackUse stack;
    int turns = 0;
    siding::run([&]() -> Task<> {
      const auto other = siding::create_task([&]() -> Task<> {
        for (;;) {
          ++turns;
          co_await siding::yield();
        }
      });
      for (int i = 0; i < million / 100; ++i) {
        co_await at_once(stack, i);
      }
    });

    CHECK(turns > 10);
    CHECK(turns < million / 100);
  }
}

}  // namespace
}  // namespace siding_test::task_stack_test
