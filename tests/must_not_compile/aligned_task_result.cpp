// SPDX-License-Identifier: MIT
// expect: a result that is aligned more strictly than operator new cannot be kept
#include <siding/task.hpp>

#ifdef SIDING_GOOD
struct Wide {
#else
struct alignas(64) Wide {
#endif
  double values[8];
};

siding::Task<Wide> compute() { co_return Wide{}; }
