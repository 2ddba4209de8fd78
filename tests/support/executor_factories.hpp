// SPDX-License-Identifier: MIT
#pragma once

#include <siding/executor.hpp>
#include <siding/process_pool.hpp>
#include <siding/thread_pool.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <tuple>

#include "executor_subject.hpp"
#include "executors.hpp"

// The executors on which the contract is tested.

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
  static constexpr bool names_calls = true;
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
  static constexpr bool names_calls = true;
};

struct InlineExecutors {
  static std::unique_ptr<siding::Executor> make(int) { return std::make_unique<InlineExecutor>(); }
  static constexpr bool queues = false;
  static constexpr bool parallel = false;
  static constexpr bool withdraws = false;
  static constexpr bool in_process = true;
  static constexpr bool names_calls = false;
};

struct OneThreads {
  static std::unique_ptr<siding::Executor> make(int) { return std::make_unique<OneThread>(); }
  static constexpr bool queues = true;
  static constexpr bool parallel = false;
  static constexpr bool withdraws = false;
  static constexpr bool in_process = true;
  static constexpr bool names_calls = false;
};

struct FewThreadses {
  static std::unique_ptr<siding::Executor> make(int workers) {
    return std::make_unique<FewThreads>(workers);
  }
  static constexpr bool queues = true;
  static constexpr bool parallel = true;
  static constexpr bool withdraws = true;
  static constexpr bool in_process = true;
  static constexpr bool names_calls = false;
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

}  // namespace siding_test
