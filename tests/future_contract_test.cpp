// SPDX-License-Identifier: MIT
#include "future_contract.hpp"

#include <doctest/doctest.h>

#include "support/executor_factories.hpp"

namespace siding_test::future_contract_test {

TEST_SUITE_BEGIN("Future of an executor");

TEST_CASE_TEMPLATE_APPLY(contract_states, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_get_limit, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_readers, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_values, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_callbacks, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_late_callback, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_throwing_callback, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_cancel_against_start, Queueing);

TEST_SUITE_END();

}  // namespace siding_test::future_contract_test
