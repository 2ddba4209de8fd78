// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/run_in_executor.hpp>
#include <siding/task.hpp>

#include <memory>
#include <utility>
#include <vector>

siding::Task<int> number_in(siding::Executor& executor, std::unique_ptr<int> number) {
#ifdef SIDING_GOOD
  std::vector<siding::Future<int>> stored;
  stored.push_back(
      siding::run_in_executor(executor, [number = std::move(number)] { return *number; }));
  co_return co_await stored.front();
#else
  co_return co_await siding::run_in_executor(executor,
                                             [number = std::move(number)] { return *number; });
#endif
}
