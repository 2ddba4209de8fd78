// SPDX-License-Identifier: MIT
// Programs that lack the process hook, as plugins of foreign programs do. This one does.
#include <siding/process_pool.hpp>

#include <siding/error.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

namespace siding_test::process_hook_test {
namespace {

int own_pid() { return ::getpid(); }

TEST_SUITE("without the process hook") {
  // PP-026
  TEST_CASE("a pool whose workers are copies of the program's file is refused, with what to do") {
    for (const siding::StartMethod method :
         {siding::StartMethod::clean, siding::StartMethod::isolated}) {
      siding::ProcessPoolOptions options{.max_workers = 1};
      options.start = method;
      CHECK_THROWS_WITH_AS(siding::ProcessPool{options},
                           doctest::Contains("was linked without siding's process hook"),
                           siding::ProcessPoolUnavailable);
    }
  }

  // PP-027
  TEST_CASE("a pool whose workers are forks of the program as it is works") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.start = siding::StartMethod::snapshot;
    siding::ProcessPool pool(options);
    CHECK(pool.submit(own_pid).get() != ::getpid());
  }
}

}  // namespace
}  // namespace siding_test::process_hook_test
