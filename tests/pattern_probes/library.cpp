// SPDX-License-Identifier: MIT
// The library's own functions, with their guard switched off: what it is there for.
#include "probe.hpp"

#include <siding/siding.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

static_assert(SIDING_GUARD_TEMPORARIES == 0, "the guard would refuse these programs");

namespace siding_probe::library {
namespace {

using namespace std::chrono_literals;
using siding::Task;

struct Image {
  Thing thing{};
  std::string pixels{};
};
int width(const Image& image) { return static_cast<int>(image.pixels.size()); }

#if defined(__SANITIZE_ADDRESS__)
constexpr bool address_sanitizer = true;
#else
constexpr bool address_sanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitizer = true;  // does not see that memory is freed twice
#else
constexpr bool thread_sanitizer = false;
#endif

// The program that the guard was made for.
Task<Verdict> the_guards_reason() {
  const auto got = co_await siding::to_thread([s = std::string(60, 'x')] { return s.size(); });
  co_return right_if(got == 60);
}

TEST_SUITE("calls with temporaries") {
  TEST_CASE("co_await to_thread([string = ...] {...})" *
            doctest::skip(old_gcc && thread_sanitizer)) {
    const std::string output = check_probe(&the_guards_reason, wrong_on_old_gcc);

    if (old_gcc && address_sanitizer) {
      CHECK_MESSAGE(output.find("attempting double-free") != std::string::npos, output);
    }
  }
  SIDING_PROBE("co_await to_thread([thing = ...] {...})", wrong_on_old_gcc) {
    const int got = co_await siding::to_thread([thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await offload(pool, [thing = ...] {...})", wrong_on_old_gcc) {
    siding::ThreadPool pool{{.max_workers = 1}};
    const int got = co_await siding::offload(pool, [thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await run_in_executor(pool, [thing = ...] {...})", wrong_on_old_gcc) {
    const int got =
        co_await siding::run_in_executor(nullptr, [thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await to_thread({...}, [thing = ...] {...})", wrong_on_old_gcc) {
    const int got =
        co_await siding::to_thread({.name = "call"}, [thing = Thing(7)] { return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await to_thread(function, Aggregate{...})", wrong_on_old_gcc) {
    const int got = co_await siding::to_thread(width, Image{Thing(7), std::string(60, 'x')});
    co_return right_if(got == 60);
  }
  SIDING_PROBE("co_await create_task([thing = ...]() -> Task {...})", wrong_on_old_gcc) {
    const int got = co_await siding::create_task(
        [thing = Thing(7)]() -> Task<int> { co_return thing.value(); });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await wait_for(to_thread([thing = ...] {...}), 1h)", wrong_on_old_gcc) {
    const int got = co_await siding::wait_for(
        siding::to_thread([thing = Thing(7)] { return thing.value(); }), 1h);
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await gather(to_thread([thing = ...] {...}), f())", wrong_on_old_gcc) {
    const std::tuple<int, int> got = co_await siding::gather(
        siding::to_thread([thing = Thing(7)] { return thing.value(); }), later(8));
    co_return right_if(got == std::tuple(7, 8));
  }

  SIDING_PROBE("auto call = to_thread([thing = ...] {...}); co_await call", right) {
    auto call = siding::to_thread([thing = Thing(7)] { return thing.value(); });
    const int got = co_await call;
    co_return right_if(got == 7);
  }
  SIDING_PROBE("auto f = [thing = ...] {...}; co_await to_thread(take(f))", right) {
    auto function = [thing = Thing(7)] { return thing.value(); };
    const int got = co_await siding::to_thread(siding::take(function));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("Image i{...}; co_await to_thread(width, take(i))", right) {
    Image image{Thing(7), std::string(60, 'x')};
    const int got = co_await siding::to_thread(width, siding::take(image));
    co_return right_if(got == 60);
  }
  SIDING_PROBE("futures.push_back(run_in_executor(pool, [thing = ...] {...}))", right) {
    std::vector<siding::Future<int>> futures;
    futures.push_back(
        siding::run_in_executor(nullptr, [thing = Thing(7)] { return thing.value(); }));
    const auto outcome = co_await siding::wait(futures);
    co_return right_if(outcome.done.front().result() == 7);
  }
  SIDING_PROBE("for (auto& future : (co_await wait(futures)).done)", right) {
    std::vector<siding::Future<int>> futures;
    futures.push_back(siding::create_task(later(3)));
    futures.push_back(siding::create_task(later(4)));
    int sum = 0;
    for (auto& future : (co_await siding::wait(futures)).done) {  // lint: pattern probe
      sum += future.result();
    }
    co_return right_if(sum == 7);
  }
  SIDING_PROBE("co_await to_thread(function, string, thing)", right) {
    const auto got = co_await siding::to_thread(
        [](std::string text, Thing thing) { return int(text.size()) + thing.value(); },
        std::string(60, 'x'), Thing(7));
    co_return right_if(got == 67);
  }
  SIDING_PROBE("co_await gather(to_thread(function, thing), to_thread(function, thing))", right) {
    const auto value = [](const Thing& thing) { return thing.value(); };
    const std::tuple<int, int> got = co_await siding::gather(siding::to_thread(value, Thing(3)),
                                                             siding::to_thread(value, Thing(4)));
    co_return right_if(got == std::tuple(3, 4));
  }
  SIDING_PROBE("auto task = create_task([thing = ...]() -> Task {...}); co_await task", right) {
    auto task = siding::create_task([thing = Thing(7)]() -> Task<int> { co_return thing.value(); });
    const int got = co_await task;
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await to_thread(bind_front(function, thing), thing)", right) {
    const auto got = co_await siding::to_thread(
        std::bind_front([](Thing a, Thing b) { return a.value() + b.value(); }, Thing(3)),
        Thing(4));
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await to_thread({.name = std::string(...)}, function)", right) {
    const int got = co_await siding::to_thread(
        {.name = std::string(60, 'x'), .on_cancel = siding::OnCancel::abandon}, [] { return 7; });
    co_return right_if(got == 7);
  }
  SIDING_PROBE("co_await futures.front()", right) {
    std::vector<siding::Future<int>> futures;
    futures.push_back(siding::create_task(later(7)));
    const int got = co_await futures.front();
    co_return right_if(got == 7);
  }
}

}  // namespace
}  // namespace siding_probe::library
