// SPDX-License-Identifier: MIT
// Closures made inside a co_await expression: GCC PR 99576, 100611, 101367.
#include "probe.hpp"

#include <siding/sleep.hpp>
#include <siding/task.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace siding_probe::closures {
namespace {

using siding::Task;

template <class F>
Task<int> call(F function) {
  co_await siding::yield();
  co_return function();
}
template <class F>
Task<int> forward_to_call(F&& function) {
  return call(std::forward<F>(function));
}
template <class F>
Task<int> call_with(F function, Thing thing) {
  co_await siding::yield();
  co_return function(thing);
}
Task<int> call_function(std::function<int()> function) {
  co_await siding::yield();
  co_return function();
}
Task<int> add(Task<int> a, Task<int> b) {
  const int first = co_await std::move(a);
  const int second = co_await std::move(b);
  co_return first + second;
}
int plus_one(const Thing& thing) { return thing.value() + 1; }

// Keeps what it is made from, and is made by a constructor.
class CallAwaiter {
 public:
  template <class F>
  explicit CallAwaiter(F&& function) : function_(std::forward<F>(function)) {}
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  int await_resume() { return function_(); }

 private:
  std::function<int()> function_;
};

TEST_SUITE("closures in a co_await expression") {
  SIDING_PROBE("co_await coroutine([thing = ...] {...})", wrong_on_old_gcc) {
    const int got = co_await call([thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await function([thing = ...] {...}) that forwards it", wrong_on_old_gcc) {
    const int got = co_await forward_to_call([thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await Awaiter([thing = ...] {...})", wrong_on_old_gcc) {
    const int got = co_await CallAwaiter([thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  // Each with a Thing: the thread sanitizer does not see that memory is freed twice.
  SIDING_PROBE("co_await f([string = ...] {...})", wrong_on_old_gcc) {
    const int got =
        co_await call([text = std::string(60, 'x'), thing = Thing(7)] { return int(text.size()); });
    co_return right_if(got == 60);
  }
  SIDING_PROBE("co_await f([unique_ptr = ...] {...})", wrong_on_old_gcc) {
    const int got =
        co_await call([number = std::make_unique<int>(7), thing = Thing(7)] { return *number; });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f([vector = ...] {...})", wrong_on_old_gcc) {
    const int got =
        co_await call([v = std::vector<int>(9, 1), thing = Thing(7)] { return int(v.size()); });
    co_return right_if(got == 9);
  }
  SIDING_PROBE("co_await f([copied] {...}) of a local", wrong_on_old_gcc) {
    const Thing thing(7);
    const int got = co_await call([thing] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await [thing = ...]() -> Task {...}()", wrong_on_old_gcc) {
    const int got = co_await [thing = Thing(7)]() -> Task<int> { co_return thing.value(); }();
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f([thing = ...] {...}) that becomes a std::function", wrong_on_old_gcc) {
    const int got = co_await call_function([thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(std::function([thing = ...] {...}))", wrong_on_old_gcc) {
    const int got =
        co_await call_function(std::function<int()>([thing = Thing(7)] { return thing.value(); }));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(bind_front([thing = ...] {...}, 1))", wrong_on_old_gcc) {
    const int got = co_await call(
        std::bind_front([thing = Thing(7)](int more) { return thing.value() + more; }, 1));
    co_return right_if(got == 8);
  }
  SIDING_PROBE("co_await f(g([thing = ...] {...}), h())", wrong_on_old_gcc) {
    const int got = co_await add(call([thing = Thing(7)] { return thing.value(); }), later(1));
    co_return right_if(got == 8);
  }
  SIDING_PROBE("co_await f([thing = ...](...) {...}, argument)", wrong_on_old_gcc) {
    const int got = co_await call_with(
        [thing = Thing(7)](const Thing& other) { return thing.value() + other.value(); }, Thing(1));
    co_return right_if(got == 8);
  }

  SIDING_PROBE("auto f = [thing = ...] {...}; co_await g(std::move(f))", right) {
    auto function = [thing = Thing(7)] { return thing.value(); };
    const int got = co_await call(std::move(function));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("auto f = [thing = ...] {...}; co_await g(f)", right) {
    auto function = [thing = Thing(7)] { return thing.value(); };
    const int got = co_await call(function);
    co_return right_if(got == 7);
  }
  SIDING_PROBE("auto task = f([thing = ...] {...}); co_await std::move(task)", right) {
    auto task = call([thing = Thing(7)] { return thing.value(); });
    const int got = co_await std::move(task);
    co_return right_if(got == 7);
  }
  SIDING_PROBE("auto task = f([thing = ...] {...}); co_await task", right) {
    auto task = call([thing = Thing(7)] { return thing.value(); });
    const int got = co_await task;
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await [&] { return f([thing = ...] {...}); }()", right) {
    const int got = co_await [&] { return call([thing = Thing(7)] { return thing.value(); }); }();
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f([&] {...})", right) {
    const Thing thing(7);
    const int got = co_await call([&] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f([number, pointer] {...})", right) {
    const Thing thing(7);
    const Thing* pointer = &thing;
    int number = 1;
    const int got = co_await call([number, pointer] { return pointer->value() + number; });
    co_return right_if(got == 8);
  }
  SIDING_PROBE("co_await f([] {...})", right) {
    const int got = co_await call([] { return 7; });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await [&]() -> Task {...}()", right) {
    const Thing thing(7);
    const int got = co_await [&]() -> Task<int> { co_return thing.value(); }();
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await f(bind_front(function, thing))", right) {
    const int got = co_await call(std::bind_front(plus_one, Thing(7)));
    co_return right_if(got == 8);
  }
  SIDING_PROBE("f([thing = ...] {...}) without a co_await in that expression", right) {
    std::vector<Task<int>> tasks;
    tasks.push_back(call([thing = Thing(7)] { return thing.value(); }));
    const int got = co_await std::move(tasks.front());
    co_return right_if(got == 7);
  }
}

}  // namespace
}  // namespace siding_probe::closures
