// SPDX-License-Identifier: MIT
// SE-002
// The first message says what is wrong, and the others name the part and the reason.
// expect: \A(?:(?!error:)[\s\S])*error: static assertion failed.*this type cannot cross
// expect: a_closure_with_captures
#include <siding/process_pool.hpp>

#ifdef SIDING_GOOD
using Kind = siding::Executor;  // any executor: looked at when it runs
#else
using Kind = siding::ProcessPool;
#endif

siding::Future<int> start(Kind& pool, int factor) {
  return pool.submit([factor](int number) { return factor * number; }, 7);
}
