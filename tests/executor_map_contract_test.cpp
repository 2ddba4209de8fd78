// SPDX-License-Identifier: MIT
#include "executor_map_contract.hpp"

#include <siding/process_pool.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <initializer_list>

#include "support/executor_factories.hpp"

namespace siding_test::executor_map_contract_test {

TEST_SUITE_BEGIN("Executor::map");

TEST_CASE_TEMPLATE_APPLY(contract_map, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_order, Parallel);
TEST_CASE_TEMPLATE_APPLY(contract_map_error, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_abandoned, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_map_timeout, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_map_eager, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_buffer, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_buffer_sizes, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_refused, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_map_inputs_throw, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_chunks, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_chunk_error, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_chunk_kinds, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_unordered, Parallel);
TEST_CASE_TEMPLATE_APPLY(contract_map_unordered_all, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_unordered_late, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_map_passed_over, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_would_block, Queueing);

TEST_CASE("each step of a chunk that is lost with its process throws") {
  siding::ProcessPool pool{{.max_workers = 1}};
  const auto die_at_zero = [](int n) {
    if (n == 0) std::raise(SIGKILL);
    return n;
  };

  auto results = pool.map({.chunk = 2}, die_at_zero, std::vector{5, 0, 1, 2});
  auto step = results.begin();

  CHECK_THROWS_AS(*step, siding::WorkerCrashed);
  CHECK_THROWS_AS(*++step, siding::WorkerCrashed);
  CHECK(*++step == 1);
  CHECK(*++step == 2);
  CHECK(++step == results.end());
}

TEST_CASE("map with a buffer refuses a range that it cannot keep") {
  InlineExecutor executor;
  const std::initializer_list<int> named{1, 2};

  CHECK(map_calls::all_of(executor.map({.buffer = 1}, map_calls::square, named)) ==
        std::vector{1, 4});
  CHECK_THROWS_AS(static_cast<void>(executor.map({.buffer = 1}, map_calls::square,
                                                 std::initializer_list<int>{1, 2})),
                  std::invalid_argument);
}

TEST_SUITE_END();

}  // namespace siding_test::executor_map_contract_test
