// SPDX-License-Identifier: MIT
// co_await as an operand: of ?:, of && and ||, in a range, in a binding, nested.
#include "probe.hpp"

#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <coroutine>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace siding_probe::expressions {
namespace {

using siding::Task;

// Not constants: a condition that is known beforehand leaves one arm only.
bool yes = true;
bool no = false;

Task<int> value_of(Thing thing) {
  co_await siding::yield();
  co_return thing.value();
}
Task<int> sum(Thing a, Thing b) {
  co_await siding::yield();
  co_return a.value() + b.value();
}
Task<std::vector<Thing>> things_later() {
  co_await siding::yield();
  std::vector<Thing> things;
  for (int i = 1; i <= 3; ++i)
    things.emplace_back(i);
  co_return things;
}
Task<std::pair<Thing, Thing>> pair_later() {
  co_await siding::yield();
  co_return std::pair(Thing(3), Thing(4));
}
Task<int> both(Task<int> a, Task<int> b) {
  const int first = co_await std::move(a);
  const int second = co_await std::move(b);
  co_return first + second;
}
Thing throwing_thing() { throw std::runtime_error("no thing"); }

class ThrowingAwaiter {
 public:
  explicit ThrowingAwaiter(int value) : thing_(value) {}
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  int await_resume() const { throw std::runtime_error("no value"); }

 private:
  Thing thing_;
};

TEST_SUITE("co_await as an operand") {
  SIDING_PROBE("Thing t = c ? co_await f() : Thing(7)", wrong_on_old_gcc) {
    const bool condition = yes;
    Thing thing = condition ? co_await thing_later(7) : Thing(8);  // lint: pattern probe
    co_return right_if(thing.value() == 7);
  }
  SIDING_PROBE("Thing t = c ? co_await f() : Thing(7), the other arm", wrong_on_old_gcc) {
    const bool condition = no;
    Thing thing = condition ? co_await thing_later(7) : Thing(8);  // lint: pattern probe
    co_return right_if(thing.value() == 8);
  }
  SIDING_PROBE("Thing t = c ? Thing(co_await f()) : Thing(7)", wrong_on_old_gcc) {
    const bool condition = yes;
    Thing thing = condition ? Thing(co_await later(7)) : Thing(8);  // lint: pattern probe
    co_return right_if(thing.value() == 7);
  }

  SIDING_PROBE("int i = c ? co_await f() : co_await g()", right) {
    const bool condition = yes;
    const int got = condition ? co_await later(7) : co_await later(8);  // lint: pattern probe
    co_return right_if(got == 7);
  }
  SIDING_PROBE("int i = co_await f() ? 1 : 2", right) {
    const int got = co_await later(7) == 7 ? 1 : 2;
    co_return right_if(got == 1);
  }
  SIDING_PROBE("bool b = co_await f() && co_await g()", right) {
    const bool got = co_await later(7) == 7 && co_await later(8) == 8;  // lint: pattern probe
    co_return right_if(got);
  }
  SIDING_PROBE("bool b = co_await f() || co_await g()", right) {
    const bool got = co_await later(7) == 8 || co_await later(8) == 8;  // lint: pattern probe
    co_return right_if(got);
  }
  SIDING_PROBE("co_await f() && temporary().ok()", right) {
    const bool got = co_await later(7) == 7 && Thing(7).ok();
    co_return right_if(got);
  }
  SIDING_PROBE("auto v = co_await f(); for (auto& t : v)", right) {
    int sum_of_values = 0;
    const auto things = co_await things_later();
    for (const Thing& thing : things)
      sum_of_values += thing.value();
    co_return right_if(sum_of_values == 6);
  }
  SIDING_PROBE("for (auto& t : co_await f())", right) {
    int sum_of_values = 0;
    for (const Thing& thing : co_await things_later()) {  // lint: pattern probe
      sum_of_values += thing.value();
    }
    co_return right_if(sum_of_values == 6);
  }
  SIDING_PROBE("auto [a, b] = co_await f()", right) {
    auto [a, b] = co_await pair_later();
    co_return right_if(a.value() + b.value() == 7);
  }
  SIDING_PROBE("auto r = co_await f(); auto& [a, b] = r", right) {
    auto result = co_await pair_later();
    auto& [a, b] = result;
    co_return right_if(a.value() + b.value() == 7);
  }
  SIDING_PROBE("co_await f(co_await g(), co_await h())", right) {
    const int got = co_await sum(co_await thing_later(3), co_await thing_later(4));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(g(Thing(3)), g(Thing(4)))", right) {
    const int got = co_await both(value_of(Thing(3)), value_of(Thing(4)));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f() + co_await g()", right) {
    const int got = co_await value_of(Thing(3)) + co_await value_of(Thing(4));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_return co_await f(Thing(7))", right) {
    const auto body = []() -> Task<Thing> { co_return co_await thing_later(7); };
    const Thing got = co_await body();
    co_return right_if(got.value() == 7);
  }
  SIDING_PROBE("co_await f(a, b) where the second argument throws", right) {
    bool caught = false;
    try {
      co_await sum(Thing(3), throwing_thing());
    } catch (const std::runtime_error&) {
      caught = true;
    }
    co_return right_if(caught);
  }
  SIDING_PROBE("co_await of an awaiter that throws", right) {
    bool caught = false;
    try {
      co_await ThrowingAwaiter(7);
    } catch (const std::runtime_error&) {
      caught = true;
    }
    co_return right_if(caught);
  }
}

}  // namespace
}  // namespace siding_probe::expressions
