// SPDX-License-Identifier: MIT
// A name is not moved from in silence.
// expect: no matching function for call to .*gather
#include <siding/gather.hpp>
#include <siding/task.hpp>

#include <utility>

siding::Task<> step();

siding::Task<> both_steps() {
  auto first = step();
#ifdef SIDING_GOOD
  co_await siding::gather(std::move(first), step());
#else
  co_await siding::gather(first, step());
#endif
}
