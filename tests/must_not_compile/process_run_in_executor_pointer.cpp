// SPDX-License-Identifier: MIT
// SE-002
// The first message says what is wrong, and the others name the part and the reason.
// expect: \A(?:(?!error:)[\s\S])*error: static assertion failed.*this type cannot cross
// expect: a_pointer
#include <siding/process_pool.hpp>
#include <siding/run_in_executor.hpp>

#ifdef SIDING_GOOD
using Kind = siding::Executor;  // any executor: looked at when it runs
#else
using Kind = siding::ProcessPool;
#endif

int sum(const int* numbers, int count);

siding::Future<int> start(Kind& pool, const int* numbers) {
  return siding::run_in_executor(pool, sum, numbers, 3);
}
