// SPDX-License-Identifier: MIT
// SE-002
// The first message says what is wrong, and the others name the part and the reason.
// expect: \A(?:(?!error:)[\s\S])*error: static assertion failed.*this type cannot cross
// expect: a_reference_wrapper
#include <siding/offload.hpp>
#include <siding/process_pool.hpp>
#include <siding/task.hpp>

#include <functional>
#include <vector>

#ifdef SIDING_GOOD
using Kind = siding::Executor;  // any executor: looked at when it runs
#else
using Kind = siding::ProcessPool;
#endif

void fill(std::vector<int>& numbers);

siding::Task<> fill_there(Kind& pool) {
  std::vector<int> numbers;
  co_await siding::offload(pool, fill, std::ref(numbers));
}
