// SPDX-License-Identifier: MIT
// expect: an argument that is aligned more strictly than operator new cannot be kept
#include <siding/run_in_executor.hpp>
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

struct alignas(64) Wide {
  double values[8];
};
double sum(const Wide& wide);

siding::Task<double> sum_elsewhere(const Wide* wide) {
#ifdef SIDING_GOOD
  co_return co_await siding::run_in_executor(nullptr, sum, *wide);
#else
  co_return co_await siding::to_thread(sum, *wide);
#endif
}
