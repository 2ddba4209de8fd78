// SPDX-License-Identifier: MIT
// co_await in the condition of a statement, in a named function without a named local: the body is
// skipped. GCC PR 106188, 106713.
#include "probe.hpp"

#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <stdexcept>
#include <utility>
#include <vector>

namespace siding_probe::conditions {
namespace {

using siding::Task;

// Counts of this process, since a local would mend the probe.
int rounds = 0;
Task<bool> another_round() {
  co_await siding::yield();
  co_return ++rounds <= 3;
}

struct Object {
  Task<Verdict> member() {
    if (co_await later(value) == 7) co_return right_if(true);  // lint: pattern probe
    co_return right_if(false);
  }
  int value = 7;
};
Object object;

Task<Verdict> with_parameter(int wanted) {
  if (co_await later(7) == wanted) co_return right_if(true);  // lint: pattern probe
  co_return right_if(false);
}

TEST_SUITE("co_await in a condition") {
  SIDING_PROBE("if (co_await f()) without a named local", wrong_on_old_gcc) {
    if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
    co_return right_if(false);
  }
  SIDING_PROBE("if (co_await f()) of a task that ends at once", wrong_on_old_gcc) {
    if (co_await at_once(7) == 7) co_return right_if(true);  // lint: pattern probe
    co_return right_if(false);
  }
  SIDING_PROBE("while (co_await f()) without a named local", wrong_on_old_gcc) {
    while (co_await another_round()) {  // lint: pattern probe
    }
    co_return right_if(rounds == 4);
  }
  SIDING_PROBE("do {...} while (co_await f()) without a named local", wrong_on_old_gcc) {
    do {
      ++rounds;
    } while (co_await another_round());  // lint: pattern probe
    co_return right_if(rounds == 4);
  }
  SIDING_PROBE("for (; co_await f();) without a named local", wrong_on_old_gcc) {
    for (; co_await another_round();) {  // lint: pattern probe
    }
    co_return right_if(rounds == 4);
  }
  SIDING_PROBE("switch (co_await f()) without a named local", wrong_on_old_gcc) {
    switch (co_await later(7)) {  // lint: pattern probe
      case 7:
        co_return right_if(true);
      default:
        co_return right_if(false);
    }
  }
  SIDING_PROBE("if (co_await f()) in a block of its own", wrong_on_old_gcc) {
    {
      if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
    }
    co_return right_if(false);
  }
  SIDING_PROBE("if (co_await f()) in a try block", wrong_on_old_gcc) {
    try {
      if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
    } catch (...) {
    }
    co_return right_if(false);
  }
  SIDING_PROBE("if (co_await f()) after another statement", wrong_on_old_gcc) {
    co_await siding::yield();
    if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
    co_return right_if(false);
  }
  SIDING_PROBE("if (co_await f()) in a member function without a named local", wrong_on_old_gcc) {
    co_return co_await object.member();
  }
  SIDING_PROBE("if (co_await f()) in a function whose only name is a parameter", wrong_on_old_gcc) {
    co_return co_await with_parameter(7);
  }

  SIDING_PROBE("if (co_await f()) after a named local that nobody uses", right) {
    [[maybe_unused]] const int local = 0;
    if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
    co_return right_if(false);
  }
  SIDING_PROBE("if (co_await f()) before a named local", right) {
    if (co_await later(7) == 8) co_return right_if(false);  // lint: pattern probe
    const int local = co_await later(7);
    co_return right_if(local == 7);
  }
  SIDING_PROBE("if (co_await f()) in a try block whose handler has a type", right) {
    try {
      if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
    } catch (const std::runtime_error&) {
    }
    co_return right_if(false);
  }
  SIDING_PROBE("if (co_await f()) with a named local in a branch", right) {
    if (co_await later(7) == 7) {  // lint: pattern probe
      const int local = 7;
      co_return right_if(local == 7);
    }
    co_return right_if(false);
  }
  SIDING_PROBE("if (const int n = co_await f(); n > 0)", right) {
    if (const int n = co_await later(7); n == 7) co_return right_if(true);  // lint: pattern probe
    co_return right_if(false);
  }
  SIDING_PROBE("for (int i = 0; i < co_await f(); ++i)", right) {
    int seen = 0;
    for (int i = 0; i < co_await later(3); ++i)  // lint: pattern probe
      ++seen;
    co_return right_if(seen == 3);
  }
  SIDING_PROBE("while (co_await f()) after a named local", right) {
    int seen = 0;
    while (co_await another_round())  // lint: pattern probe
      ++seen;
    co_return right_if(seen == 3);
  }
  SIDING_PROBE("switch (co_await f()) after a named local", right) {
    int seen = 0;
    switch (co_await later(7)) {  // lint: pattern probe
      case 7:
        seen = 7;
        break;
      default:
        break;
    }
    co_return right_if(seen == 7);
  }
  SIDING_PROBE("if (co_await f()) in a lambda that is a coroutine", right) {
    const auto body = []() -> Task<Verdict> {
      if (co_await later(7) == 7) co_return right_if(true);  // lint: pattern probe
      co_return right_if(false);
    };
    co_return co_await body();
  }
  SIDING_PROBE("name the result, then test it", right) {
    const int got = co_await later(7);
    if (got == 7) co_return right_if(true);
    co_return right_if(false);
  }
}

}  // namespace
}  // namespace siding_probe::conditions
