// SPDX-License-Identifier: MIT
// Aggregates made by braces inside a co_await expression: GCC PR 99576, 100611, 101367.
#include "probe.hpp"

#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <array>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace siding_probe::aggregates {
namespace {

using siding::Task;

struct Pair {
  Thing first{};
  Thing second{};
};
struct Options {
  int number = 1;
  Thing thing{7};
  std::string name = std::string(60, 'x');
};
struct TrivialOptions {
  std::string_view name{};
  std::chrono::nanoseconds limit{};
  int number = 0;
};
struct Functor {
  Thing thing{};
  int operator()() const { return thing.value(); }
};
struct WithMember {
  Thing thing{7};
  Task<int> get() const { return later(thing.value()); }
};
class Holder {
 public:
  explicit Holder(int value) : thing_(value) {}
  Task<int> get() const { return later(thing_.value()); }
  Holder& add(int more) {
    thing_ = Thing(thing_.value() + more);
    return *this;
  }
  int value() const { return thing_.value(); }

 private:
  Thing thing_;
};

// An awaiter that is an aggregate, one with a constructor, and an awaitable with neither.
struct AggregateAwaiter {
  Thing thing;
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  int await_resume() const { return thing.value(); }
};
class ClassAwaiter {
 public:
  explicit ClassAwaiter(int value) : thing_(value) {}
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  int await_resume() const { return thing_.value(); }

 private:
  [[no_unique_address]] std::optional<int> nothing_;
  Thing thing_;
};
class Awaitable {
 public:
  explicit Awaitable(int value) : thing_(value) {}
  ClassAwaiter operator co_await() const { return ClassAwaiter(thing_.value()); }

 private:
  Thing thing_;
};
class DerivedAwaitable : public Awaitable {
 public:
  using Awaitable::Awaitable;
};

Task<int> sum(Pair pair) {
  co_await siding::yield();
  co_return pair.first.value() + pair.second.value();
}
Task<int> sum_const(const Pair& pair) { return sum(pair); }
Task<int> use(Options options) {
  co_await siding::yield();
  co_return options.number + options.thing.value();
}
Task<int> use_trivial(TrivialOptions options) {
  const int got = options.number + static_cast<int>(options.name.size());
  co_await siding::yield();
  co_return got;
}
Task<int> sum_array(std::array<Thing, 2> things) {
  co_await siding::yield();
  co_return things[0].value() + things[1].value();
}
template <class F>
Task<int> call(F function) {
  co_await siding::yield();
  co_return function();
}
template <class... T>
Task<int> count(T... values) {
  co_await siding::yield();
  co_return static_cast<int>(sizeof...(values));
}
Pair make_pair_of_things(int a, int b) { return Pair{Thing(a), Thing(b)}; }
int plain_sum(const Pair& pair, int more) {
  return pair.first.value() + pair.second.value() + more;
}

TEST_SUITE("aggregates in a co_await expression") {
  SIDING_PROBE("co_await f(Aggregate{a, b})", wrong_on_old_gcc) {
    const int got = co_await sum(Pair{Thing(3), Thing(4)});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(Aggregate(a, b))", wrong_on_old_gcc) {
#if defined(__cpp_aggregate_paren_init)
    const int got = co_await sum(Pair(Thing(3), Thing(4)));
#else
    const int got = co_await sum(Pair{Thing(3), Thing(4)});
#endif
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f({a, b})", wrong_on_old_gcc) {
    const int got = co_await sum({Thing(3), Thing(4)});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f({.first = a, .second = b})", wrong_on_old_gcc) {
    const int got = co_await sum({.first = Thing(3), .second = Thing(4)});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(Aggregate{a, b}) that takes a reference", wrong_on_old_gcc) {
    const int got = co_await sum_const(Pair{Thing(3), Thing(4)});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f({.number = 2}) with members that have destructors", wrong_on_old_gcc) {
    const int got = co_await use({.number = 2});
    co_return right_if(got == 9);
  }
  SIDING_PROBE("co_await f(Aggregate{})", wrong_on_old_gcc) {
    const int got = co_await use(Options{});
    co_return right_if(got == 8);
  }
  SIDING_PROBE("co_await f(std::array{a, b})", wrong_on_old_gcc) {
    const int got = co_await sum_array(std::array<Thing, 2>{Thing(3), Thing(4)});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(FunctorThatIsAnAggregate{a})", wrong_on_old_gcc) {
    const int got = co_await call(Functor{Thing(7)});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await AwaiterThatIsAnAggregate{a}", wrong_on_old_gcc) {
    const int got = co_await AggregateAwaiter{Thing(7)};
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await Aggregate{}.member()", wrong_on_old_gcc) {
    const int got = co_await WithMember{}.get();
    co_return right_if(got == 7);
  }
  SIDING_PROBE("f(Aggregate{a, b}, co_await g())", wrong_on_old_gcc) {
    const int got = plain_sum(Pair{Thing(3), Thing(4)}, co_await later(1));
    co_return right_if(got == 8);
  }
  SIDING_PROBE("Aggregate pair{co_await f(), co_await g()}", wrong_on_old_gcc) {
    Pair pair{co_await thing_later(3), co_await thing_later(4)};
    co_return right_if(pair.first.value() + pair.second.value() == 7);
  }

  SIDING_PROBE("co_await f(function_that_returns_an_aggregate())", right) {
    const int got = co_await sum(make_pair_of_things(3, 4));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("Aggregate a{...}; co_await f(std::move(a))", right) {
    Pair pair{Thing(3), Thing(4)};
    const int got = co_await sum(std::move(pair));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("Aggregate a{...}; co_await f(a)", right) {
    const Pair pair{Thing(3), Thing(4)};
    const int got = co_await sum(pair);
    co_return right_if(got == 7);
  }
  SIDING_PROBE("Aggregate a{...}; co_await f(Aggregate(a))", right) {
    const Pair pair{Thing(3), Thing(4)};
    const int got = co_await sum(Pair(pair));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f({.name = ..., .number = 2}) with trivial members", right) {
    const int got = co_await use_trivial({.name = "four", .number = 3});
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f({.name = std::string(...)}) with trivial members", right) {
    const int got = co_await use_trivial({.name = std::string(60, 'x'), .number = 3});
    co_return right_if(got == 63);
  }
  SIDING_PROBE("co_await f(Class(...), string, vector, unique_ptr)", right) {
    const int got = co_await count(Thing(7), std::string(60, 'x'), std::vector<int>(9),
                                   std::make_unique<int>(7));
    co_return right_if(got == 4);
  }
  SIDING_PROBE("co_await f(pair, tuple, optional)", right) {
    const int got = co_await count(std::pair(Thing(1), Thing(2)), std::tuple(Thing(3)),
                                   std::optional(Thing(4)));
    co_return right_if(got == 3);
  }
  SIDING_PROBE("co_await Class{6}", right) {
    const int got = co_await ClassAwaiter{6};
    co_return right_if(got == 6);
  }
  SIDING_PROBE("co_await Awaitable(6) with operator co_await", right) {
    const int got = co_await Awaitable(6);
    co_return right_if(got == 6);
  }
  SIDING_PROBE("co_await DerivedFromAwaitable(6)", right) {
    const int got = co_await DerivedAwaitable(6);
    co_return right_if(got == 6);
  }
  SIDING_PROBE("co_await Class(6).add(1).member()", right) {
    const int got = co_await Holder(6).add(1).get();
    co_return right_if(got == 7);
  }
  SIDING_PROBE("f(Class(6), co_await g())", right) {
    const int got = std::plus<>()(Holder(6).value(), co_await later(1));
    co_return right_if(got == 7);
  }
}

}  // namespace
}  // namespace siding_probe::aggregates
