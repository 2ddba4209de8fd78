// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/create_task.hpp>

#include <string>
#include <utility>

siding::Task<std::size_t> size_in_task(std::string text) {
#ifdef SIDING_GOOD
  auto task = siding::create_task(
      [text = std::move(text)]() -> siding::Task<std::size_t> { co_return text.size(); });
  co_return co_await task;
#else
  co_return co_await siding::create_task(
      [text = std::move(text)]() -> siding::Task<std::size_t> { co_return text.size(); });
#endif
}
