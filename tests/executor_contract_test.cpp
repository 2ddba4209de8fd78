// SPDX-License-Identifier: MIT
#include "executor_contract.hpp"

#include <doctest/doctest.h>

#include "executor_shutdown_contract.hpp"
#include "support/executor_factories.hpp"

namespace siding_test::executor_contract_test {

TEST_SUITE_BEGIN("Executor");

TEST_CASE_TEMPLATE_APPLY(contract_submit, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_copies, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_references, InProcess);
TEST_CASE_TEMPLATE_APPLY(contract_errors, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_coroutine, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_waves, Parallel);
TEST_CASE_TEMPLATE_APPLY(contract_await, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_callback_submits, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_threads, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_dropped_future, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_liveness, Parallel);

TEST_CASE_TEMPLATE_APPLY(contract_cancel_queued, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_cancel_running, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_cancel_awaited, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_refusal, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_shutdown_waits, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_shutdown_at_once, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_shutdown_cancels, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_scope, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_destroyed, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_shutdown_again, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_shutdown_limit, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_shutdown_race, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_movable, InProcess);
TEST_CASE_TEMPLATE_APPLY(contract_destroyed_once, InProcess);
TEST_CASE_TEMPLATE_APPLY(contract_destroyed_unrun, QueueingInProcess);
TEST_CASE_TEMPLATE_APPLY(contract_stop_token, QueueingInProcess);

TEST_SUITE_END();

}  // namespace siding_test::executor_contract_test
