// SPDX-License-Identifier: MIT
// Context variables that go along with calls in other processes.
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/limits.hpp"
#include "support/log_capture.hpp"

namespace siding_test::context_var_process_test {

/// Breaks where it is told to.
struct Fragile {
  enum class At { nowhere, write, read } at = At::nowhere;
};

}  // namespace siding_test::context_var_process_test

template <>
struct siding::Wire<siding_test::context_var_process_test::Fragile> {
  using Fragile = siding_test::context_var_process_test::Fragile;
  static void write(WireWriter& out, const Fragile& value) {
    if (value.at == Fragile::At::write) throw std::runtime_error("ser");
    out.value(static_cast<int>(value.at));
  }
  static Fragile read(WireReader& in) {
    const auto at = static_cast<Fragile::At>(in.value<int>());
    if (at == Fragile::At::read) throw std::runtime_error("deser");
    return {at};
  }
};

namespace siding_test::context_var_process_test {

using siding::ContextVar;
using siding::Future;
using siding::ProcessPool;
using siding::Task;
using siding_test::hang_limit;

ContextVar<std::string> request_id{"request_id", "none", siding::carried_to_processes};
ContextVar<int> attempts{"attempts", 7};
ContextVar<Fragile> fragile{"fragile", {}, siding::carried_to_processes};

using Seen = std::pair<std::string, int>;

Seen look() { return {request_id.get(), attempts.get()}; }
Seen look_at(const std::string& argument) {
  const Seen before = look();
  request_id.set("changed");
  return {before.first + argument, before.second};
}
std::size_t length_of(const std::string& argument) { return request_id.get().size() + argument.size(); }

TEST_SUITE("ContextVar with carried_to_processes") {
  // CX-005
  TEST_CASE("a call in a process sees the variables that are carried, and of others the initial value") {
    ProcessPool pool{{.max_workers = 1}};
    request_id.set("r1");
    attempts.set(2);

    CHECK(pool.submit(look).get(hang_limit) == Seen{"r1", 7});
    siding::run([&]() -> Task<> {
      request_id.set("r2");
      const Seen awaited = co_await siding::offload(pool, look);
      CHECK(awaited == Seen{"r2", 7});
      const Future<Seen> future = siding::run_in_executor(pool, look);
      request_id.set("r3");  // the call has its values already
      const Seen value = co_await future;
      CHECK(value == Seen{"r2", 7});
    });
    CHECK(request_id.get() == "r1");
    request_id.set("none");
    attempts.set(7);
  }

  TEST_CASE("what a call changes ends with it, in the worker too") {
    ProcessPool pool{{.max_workers = 1}};
    {
      const auto scope = request_id.bind("r1");
      CHECK(pool.submit(look_at, "!").get(hang_limit) == Seen{"r1!", 7});
    }
    CHECK(pool.submit(look).get(hang_limit) == Seen{"none", 7});
  }

  TEST_CASE("values and arguments of any size go together") {
    ProcessPool pool{{.max_workers = 1}};
    for (const std::size_t value : {std::size_t{1}, std::size_t{150}, std::size_t{100'000}}) {
      for (const std::size_t argument : {std::size_t{0}, std::size_t{151}, std::size_t{100'003}}) {
        const auto scope = request_id.bind(std::string(value, 'x'));
        CHECK(pool.submit(length_of, std::string(argument, 'y')).get(hang_limit) ==
              value + argument);
      }
    }
  }

  TEST_CASE("a value whose hook throws, here or in the worker, fails the call only") {
    ProcessPool pool{{.max_workers = 1}};
    {
      const auto scope = fragile.bind({Fragile::At::write});
      CHECK_THROWS_WITH_AS(pool.submit(look).get(hang_limit), "ser", std::runtime_error);
    }
    {
      const auto scope = fragile.bind({Fragile::At::read});
      CHECK_THROWS_WITH_AS(pool.submit(look).get(hang_limit),
                           "a context variable could not be read in the worker: std::runtime_error: "
                           "deser",
                           siding::SerializationError);
    }
    CHECK(pool.submit(look).get(hang_limit) == Seen{"none", 7});
  }

  TEST_CASE("one that was made after the start of main() is not known to the workers") {
    ProcessPool pool{{.max_workers = 1}};
    ContextVar<int> late{"late", 1, siding::carried_to_processes};
    const auto scope = late.bind(2);
    CHECK(pool.submit(look).get(hang_limit) == Seen{"none", 7});
  }

  TEST_CASE("two that are carried cannot have one name") {
    CHECK_THROWS_WITH_AS(
        (ContextVar<int>{"request_id", 1, siding::carried_to_processes}),
        "two context variables that are carried to processes are called request_id: a worker tells "
        "them apart by their names, so give them different ones",
        std::invalid_argument);
    { ContextVar<int> one{"again", 1, siding::carried_to_processes}; }
    CHECK_NOTHROW((ContextVar<int>{"again", 1, siding::carried_to_processes}));
  }
}

}  // namespace siding_test::context_var_process_test
