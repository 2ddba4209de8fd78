// SPDX-License-Identifier: MIT
// expect: a result that is aligned more strictly than operator new cannot be kept
#include <siding/run_in_executor.hpp>
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

struct alignas(64) Wide {
  double values[8];
};
Wide compute();

siding::Task<double> sum() {
#ifdef SIDING_GOOD
  const auto future = siding::run_in_executor(nullptr, compute);
  const Wide& wide = co_await future;
  co_return wide.values[0];
#else
  const auto wide = co_await siding::to_thread(compute);
  co_return wide.values[0];
#endif
}
