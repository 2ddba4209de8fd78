// SPDX-License-Identifier: MIT
// How a thread pool names the calls that it runs.
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/gate.hpp"
#include "support/limits.hpp"

namespace siding_test::thread_pool_running_test {

using siding::Future;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::hang_limit;
using siding_test::pass;
using Names = std::vector<std::string>;

TEST_SUITE("ThreadPool::running_calls") {
  TEST_CASE("names what runs, by its name or by its function, and not what is queued") {
    ThreadPool pool{{.max_workers = 2}};
    Gate gate;
    CHECK(pool.running_calls().empty());

    const Future<> named = pool.submit({.name = "resize"}, pass, gate.key());
    const Future<> unnamed = pool.submit(pass, gate.key());
    gate.wait_for_arrivals(2);
    const Future<> queued = pool.submit({.name = "queued"}, [] {});

    Names names = pool.running_calls();
    std::sort(names.begin(), names.end());
    CHECK(names == Names{"resize", "void (*)(siding_test::GateKey)"});
    gate.open();
    queued.get(hang_limit);
    pool.shutdown();
    CHECK(pool.running_calls().empty());
  }

  TEST_CASE("a call without a name does not get that of the call before it") {
    ThreadPool pool{{.max_workers = 1}};
    Gate gate;
    pool.submit({.name = "a name that is longer than what a string keeps in itself"}, [] {});
    const Future<> unnamed = pool.submit(pass, gate.key());
    gate.wait_for_arrivals(1);

    CHECK(pool.running_calls() == Names{"void (*)(siding_test::GateKey)"});
    gate.open();
  }

  TEST_CASE("of a worker that runs another call in place of waiting for it, the inner one is named") {
    ThreadPool pool{{.max_workers = 1}};
    Gate inner;
    Gate after;
    const Future<> outer = pool.submit({.name = "outer"}, [&] {
      pool.submit({.name = "inner"}, pass, inner.key()).get();
      pass(after.key());
    });

    inner.wait_for_arrivals(1);
    CHECK(pool.running_calls() == Names{"inner"});
    inner.open();
    after.wait_for_arrivals(1);
    CHECK(pool.running_calls() == Names{"outer"});
    after.open();
    outer.get(hang_limit);
  }
}

}  // namespace siding_test::thread_pool_running_test
