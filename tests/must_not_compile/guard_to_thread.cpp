// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
// expect: auto call = to_thread\(\.\.\.\); co_await call;
// expect: siding::take\(argument\)
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/take.hpp>
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

#include <memory>
#include <utility>

siding::Task<int> number_in_thread(std::unique_ptr<int> number) {
#ifdef SIDING_GOOD
  auto call = siding::to_thread([number = std::move(number)] { return *number; });
  const int named_call = co_await call;
  auto function = [number = std::make_unique<int>(1)] { return *number; };
  const int named_function = co_await siding::to_thread(siding::take(function));
  co_return named_call + named_function;
#else
  co_return co_await siding::to_thread([number = std::move(number)] { return *number; });
#endif
}
