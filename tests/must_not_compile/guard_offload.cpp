// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/offload.hpp>
#include <siding/task.hpp>

#include <memory>
#include <utility>

siding::Task<int> number_in(siding::Executor& executor, std::unique_ptr<int> number) {
#ifdef SIDING_GOOD
  auto call = siding::offload(executor, [number = std::move(number)] { return *number; });
  co_return co_await call;
#else
  co_return co_await siding::offload(executor, [number = std::move(number)] { return *number; });
#endif
}
