// SPDX-License-Identifier: MIT
#include "executor_contract.hpp"

#include <siding/process_pool.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <tuple>

#include "executor_shutdown_contract.hpp"
#include "support/executors.hpp"

namespace siding_test {

struct ThreadPools {
  static std::unique_ptr<siding::Executor> make(int workers) {
    return std::make_unique<siding::ThreadPool>(
        siding::ThreadPoolOptions{.max_workers = static_cast<std::size_t>(workers)});
  }
  static constexpr bool queues = true;
  static constexpr bool parallel = true;
  static constexpr bool withdraws = true;
  static constexpr bool in_process = true;
};

struct ProcessPools {
  static std::unique_ptr<siding::Executor> make(int workers) {
    return std::make_unique<siding::ProcessPool>(
        siding::ProcessPoolOptions{.max_workers = static_cast<std::size_t>(workers)});
  }
  static constexpr bool queues = true;
  static constexpr bool parallel = true;
  static constexpr bool withdraws = true;
  static constexpr bool in_process = false;
};

struct InlineExecutors {
  static std::unique_ptr<siding::Executor> make(int) { return std::make_unique<InlineExecutor>(); }
  static constexpr bool queues = false;
  static constexpr bool parallel = false;
  static constexpr bool withdraws = false;
  static constexpr bool in_process = true;
};

struct OneThreads {
  static std::unique_ptr<siding::Executor> make(int) { return std::make_unique<OneThread>(); }
  static constexpr bool queues = true;
  static constexpr bool parallel = false;
  static constexpr bool withdraws = false;
  static constexpr bool in_process = true;
};

struct FewThreadses {
  static std::unique_ptr<siding::Executor> make(int workers) {
    return std::make_unique<FewThreads>(workers);
  }
  static constexpr bool queues = true;
  static constexpr bool parallel = true;
  static constexpr bool withdraws = true;
  static constexpr bool in_process = true;
};

}  // namespace siding_test

TYPE_TO_STRING_AS("ThreadPool", siding_test::ThreadPools);
TYPE_TO_STRING_AS("ProcessPool", siding_test::ProcessPools);
TYPE_TO_STRING_AS("an executor that runs calls in submit()", siding_test::InlineExecutors);
TYPE_TO_STRING_AS("a user's thread with its own queue", siding_test::OneThreads);
TYPE_TO_STRING_AS("a user's threads with a JobQueue", siding_test::FewThreadses);

namespace siding_test {

// One word more is the whole contract for one executor more.
using Factories = std::tuple<ThreadPools, ProcessPools, InlineExecutors, OneThreads, FewThreadses>;

using Queueing = filtered_t<Queues, Factories>;
using Parallel = filtered_t<IsParallel, Factories>;
using InProcess = filtered_t<IsInProcess, Factories>;
using QueueingInProcess = filtered_t<QueuesInProcess, Factories>;

TEST_SUITE_BEGIN("Executor");

TEST_CASE_TEMPLATE_APPLY(contract_submit, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_copies, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_references, InProcess);
TEST_CASE_TEMPLATE_APPLY(contract_errors, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_coroutine, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_waves, Parallel);
TEST_CASE_TEMPLATE_APPLY(contract_await, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_order, Parallel);
TEST_CASE_TEMPLATE_APPLY(contract_map_error, Factories);
TEST_CASE_TEMPLATE_APPLY(contract_map_abandoned, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_map_timeout, Queueing);
TEST_CASE_TEMPLATE_APPLY(contract_map_eager, Factories);
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

}  // namespace siding_test
