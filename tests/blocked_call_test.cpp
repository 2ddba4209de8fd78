// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/gate.hpp"

namespace siding_test::blocked_call_test {
namespace {

using namespace std::chrono_literals;

/// Futures that the calls of a test wait for; written before its gate is open.
struct Futures {
  std::vector<std::optional<siding::Future<int>>> all;
  Gate gate;

  int wait_for(std::size_t index) {
    pass(gate.key());
    return all[index]->get();
  }
};

std::string error_of(siding::Future<int>& future) {
  try {
    future.get(10s);
  } catch (const siding::InvalidStateError& error) {
    return error.what();
  }
  return "no error";
}

TEST_SUITE("blocked call") {
  // TP-006
  TEST_CASE("two calls that wait for each other fail, and the text names both") {
    siding::ThreadPool pool({.max_workers = 2});
    Futures futures;
    futures.all.resize(2);
    futures.all[0] = pool.submit({.name = "a"}, [&] { return futures.wait_for(1); });
    futures.all[1] = pool.submit({.name = "b"}, [&] { return futures.wait_for(0); });
    futures.gate.wait_for_arrivals(2);
    futures.gate.open();

    const std::string text = error_of(*futures.all[0]);

    CHECK(text == error_of(*futures.all[1]));
    CHECK(text.find("call 'a' waits for call 'b'") != std::string::npos);
    CHECK(text.find("call 'b' waits for call 'a'") != std::string::npos);
  }

  TEST_CASE("so does a circle across two pools, and a call that waits for itself") {
    siding::ThreadPool one({.max_workers = 2});
    siding::ThreadPool other({.max_workers = 1});
    Futures futures;
    futures.all.resize(3);
    futures.all[0] = one.submit([&] { return futures.wait_for(1); });
    futures.all[1] = other.submit([&] { return futures.wait_for(2); });
    futures.all[2] = one.submit([&] { return futures.wait_for(0); });
    futures.gate.wait_for_arrivals(3);
    futures.gate.open();

    for (auto& future : futures.all) CHECK(error_of(*future).find("get(): ") == 0);

    Futures own;
    own.all.resize(1);
    own.all[0] = one.submit([&] { return own.wait_for(0); });
    own.gate.open();
    CHECK(error_of(*own.all[0]).find("waits for a call without a name") != std::string::npos);
  }

  TEST_CASE("calls that wait in a row, or with a limit, are left alone") {
    siding::ThreadPool pool({.max_workers = 3});
    Futures futures;
    futures.all.resize(3);
    futures.all[0] = pool.submit([&] { return futures.wait_for(1); });
    futures.all[1] = pool.submit([&] { return futures.wait_for(2); });
    futures.all[2] = pool.submit([&] {
      pass(futures.gate.key());
      CHECK_THROWS_AS(futures.all[0]->get(1ms), siding::TimeoutError);
      return 7;
    });
    futures.gate.wait_for_arrivals(3);
    futures.gate.open();

    CHECK(futures.all[0]->get(10s) == 7);
  }

  TEST_CASE("a call that a waiting worker runs itself is seen to wait for the one below it") {
    siding::ThreadPool pool({.max_workers = 1});
    Futures futures;
    futures.all.resize(2);
    futures.all[0] = pool.submit({.name = "outer"}, [&] { return futures.wait_for(1); });
    futures.gate.wait_for_arrivals(1);
    futures.all[1] = pool.submit({.name = "inner"}, [&] { return futures.all[0]->get(); });
    futures.gate.open();

    CHECK(error_of(*futures.all[0]).find("call 'inner' waits for call 'outer'") !=
          std::string::npos);
  }
}

}  // namespace
}  // namespace siding_test::blocked_call_test
