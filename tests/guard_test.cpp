// SPDX-License-Identifier: MIT
// What the guard refuses is in must_not_compile/guard_*.cpp; here is what it lets through, and how
// it tells. What would happen without it is in pattern_probes/.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/counted.hpp"

namespace siding_test::guard_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::GuardedFuture;
using siding::Task;
using siding::detail::guard;
using siding::detail::hazard;
using siding_test::Counted;
using siding_test::Counts;

#if defined(__GNUC__) && !defined(__clang__) && \
    (__GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3))
constexpr bool old_gcc = true;
#else
constexpr bool old_gcc = false;
#endif
static_assert(SIDING_GUARD_TEMPORARIES == old_gcc, "the guard is on where the bug is");

struct Image {
  std::vector<int> pixels{};
};
struct Scale {
  int factor = 1;
  int operator()(int number) const { return factor * number; }
};
struct AggregateFunctor {
  std::string text{};
  std::size_t operator()() const { return text.size(); }
};
class ClassFunctor {
 public:
  explicit ClassFunctor(std::string text) : text_(std::move(text)) {}
  std::size_t operator()() const { return text_.size(); }

 private:
  std::string text_;
};

const std::string text_of_60(60, 'x');
int number_outside = 7;
auto make_closure() {
  return [text = text_of_60] { return text.size(); };
}
auto make_closure_of_reference() {
  return [&text = text_of_60] { return text.size(); };
}
auto make_closure_of_number() {
  return [number = number_outside] { return number; };
}
auto make_body() {
  return [text = text_of_60]() -> Task<std::size_t> { co_return text.size(); };
}
std::size_t width(const Image& image) { return image.pixels.size(); }
int plus(const std::string& text, int number) { return static_cast<int>(text.size()) + number; }
Task<int> seven() { co_return 7; }

using Closure = decltype(make_closure());
using Body = decltype(make_body());

// Destroyed twice by the bug, as a temporary.
static_assert(hazard<Closure>());
static_assert(hazard<const Closure>());
static_assert(hazard<Body>());
static_assert(hazard<decltype(std::bind_front(make_closure()))>());
static_assert(hazard<Image>());
static_assert(hazard<AggregateFunctor>());
static_assert(hazard<std::array<std::string, 2>>());

// Not destroyed twice.
static_assert(!hazard<Closure&>() && !hazard<const Closure&>(), "it has a name");
static_assert(!hazard<Image&>() && !hazard<const Image&>());
static_assert(!hazard<decltype(make_closure_of_reference())>());
static_assert(!hazard<decltype(make_closure_of_number())>());
static_assert(!hazard<decltype([] {})>());
static_assert(!hazard<decltype(&width)>() && !hazard<int>() && !hazard<const char*>());
static_assert(!hazard<Scale>(), "trivially destructible");
static_assert(!hazard<ClassFunctor>());
static_assert(!hazard<decltype(std::bind_front(plus, text_of_60))>());
static_assert(!hazard<std::function<int()>>());
static_assert(!hazard<std::string>() && !hazard<std::vector<Image>>());
static_assert(!hazard<std::unique_ptr<Image>>() && !hazard<std::optional<Image>>());
static_assert(!hazard<std::pair<std::string, Image>>() && !hazard<std::tuple<Image, Image>>());
static_assert(!hazard<siding::CallOptions>() && !hazard<siding::MapOptions>());
static_assert(!hazard<siding::TaskOptions>() && !hazard<siding::WaitOptions>());
static_assert(!hazard<siding::GatherOptions>() && !hazard<siding::CancelOptions>());
static_assert(!hazard<siding::detail::Taken<Closure>>() && !hazard<siding::detail::Taken<Image>>());
static_assert(!hazard<Task<int>>() && !hazard<Future<Image>>() && !hazard<siding::AnyFuture>());

// What was given a hazard hands it on; what was not does not.
static_assert(hazard<GuardedFuture<int>>());
static_assert(hazard<siding::TaskOp<int, true>>() && !hazard<siding::TaskOp<int, false>>());
static_assert(hazard<decltype(siding::to_thread(make_closure()))>() == old_gcc);
static_assert(hazard<decltype(siding::to_thread(width, Image()))>() == old_gcc);
static_assert(!hazard<decltype(siding::to_thread(make_closure_of_reference()))>());
static_assert(hazard<decltype(siding::wait_for(siding::to_thread(make_closure()), 1s))>() ==
              old_gcc);
static_assert(!hazard<decltype(siding::wait_for(seven(), 1s))>());
static_assert(hazard<decltype(siding::gather(seven(), siding::to_thread(make_closure())))>() ==
              old_gcc);
static_assert(!hazard<decltype(siding::gather(seven(), seven()))>());

// One hazard is enough, and none of it counts where the compiler is right.
static_assert(guard<int, Closure, int> == old_gcc);
static_assert(guard<Closure> == old_gcc);
static_assert(!guard<int, std::string>);
static_assert(!guard<>);

// The types that the user sees: elsewhere the flag costs nothing, not even another type.
template <class F>
using Submitted = decltype(siding::run_in_executor(nullptr, std::declval<F>()));
static_assert(
    std::same_as<Submitted<Closure>,
                 std::conditional_t<old_gcc, GuardedFuture<std::size_t>, Future<std::size_t>>>);
static_assert(std::same_as<Submitted<Closure&>, Future<std::size_t>>);
static_assert(std::derived_from<Submitted<Closure>, Future<std::size_t>>);
static_assert(std::same_as<decltype(siding::create_task(make_body())), Submitted<Closure>>);

TEST_SUITE("guard") {
  TEST_CASE("a call with a closure can be named and then awaited") {
    const std::size_t size = siding::run([]() -> Task<std::size_t> {
      auto call = siding::to_thread([text = text_of_60] { return text.size(); });
      co_return co_await call;
    });

    CHECK(size == 60);
  }

  TEST_CASE("take(name) moves a closure or an aggregate into an awaited call, once") {
    Counts counts;
    const auto [number, pixels] = siding::run([&]() -> Task<std::pair<int, std::size_t>> {
      auto function = [counted = Counted(counts, 7)] { return counted.value(); };
      const int got = co_await siding::to_thread(siding::take(function));
      Image image{{1, 2, 3}};
      const std::size_t wide = co_await siding::to_thread(width, siding::take(image));
      co_return std::pair(got, wide);
    });

    CHECK(number == 7);
    CHECK(pixels == 3);
    CHECK(counts.copied == 0);
    CHECK(counts.alive() == 0);
  }

  TEST_CASE("a name is copied into an awaited call and stays as it was") {
    const std::size_t sizes = siding::run([]() -> Task<std::size_t> {
      const auto function = make_closure();
      const Image image{{1, 2, 3}};
      const std::size_t size = co_await siding::to_thread(function);
      const std::size_t wide = co_await siding::to_thread(width, image);
      co_return size + wide + function() + image.pixels.size();
    });

    CHECK(sizes == 126);
  }

  TEST_CASE("a future of a call with a closure is stored, assigned and awaited by name") {
    siding::run([]() -> Task<> {
      std::vector<Future<std::size_t>> futures;
      futures.push_back(siding::run_in_executor(nullptr, make_closure()));
      Future<std::size_t> assigned;
      assigned = siding::run_in_executor(nullptr, make_closure());
      futures.push_back(assigned);
      auto named = siding::run_in_executor(nullptr, make_closure());
      siding::run_in_executor(nullptr, make_closure());

      const std::size_t of_name = co_await named;
      const std::size_t of_assigned = co_await std::move(assigned);
      const std::size_t of_element = co_await futures.front();
      const auto outcome = co_await siding::wait(futures);

      CHECK(of_name == 60);
      CHECK(of_assigned == 60);
      CHECK(of_element == 60);
      CHECK(outcome.done.size() == 2);
    });
  }

  TEST_CASE("a body with captures is spawned, named and awaited") {
    const std::size_t size = siding::run([]() -> Task<std::size_t> {
      auto task = siding::create_task(make_body());
      co_return co_await task;
    });

    CHECK(size == 60);
  }

  TEST_CASE("a combinator of a call with a closure can be named and then awaited") {
    siding::run([]() -> Task<> {
      auto in_time = siding::wait_for(siding::to_thread(make_closure()), 1h);
      const std::size_t of_wait_for = co_await in_time;
      auto both = siding::gather(siding::to_thread(make_closure()), seven());
      const auto of_gather = co_await both;
      auto future = siding::create_task(siding::to_thread(make_closure()));
      const std::size_t of_create_task = co_await future;
      auto waited = siding::wait_for(siding::run_in_executor(nullptr, make_closure()), 1h);
      const std::size_t of_future = co_await waited;

      CHECK(of_wait_for == 60);
      CHECK(std::get<0>(of_gather) == 60);
      CHECK(std::get<1>(of_gather) == 7);
      CHECK(of_create_task == 60);
      CHECK(of_future == 60);
    });
  }

  TEST_CASE("temporaries that are in no danger are awaited as they are") {
    siding::run([]() -> Task<> {
      const int number = co_await siding::to_thread(make_closure_of_number());
      const std::size_t of_reference = co_await siding::to_thread(make_closure_of_reference());
      const int of_functor = co_await siding::to_thread(Scale{3}, 4);
      const std::size_t of_class = co_await siding::to_thread(ClassFunctor(std::string(60, 'x')));
      const int of_bound =
          co_await siding::to_thread(std::bind_front(plus, std::string(60, 'x')), 7);
      const int of_arguments =
          co_await siding::run_in_executor(nullptr, plus, std::string(60, 'x'), 7);

      CHECK(number == 7);
      CHECK(of_reference == 60);
      CHECK(of_functor == 12);
      CHECK(of_class == 60);
      CHECK(of_bound == 67);
      CHECK(of_arguments == 67);
    });
  }
}

}  // namespace
}  // namespace siding_test::guard_test
