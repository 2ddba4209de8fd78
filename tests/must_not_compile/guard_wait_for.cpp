// SPDX-License-Identifier: MIT
// What is handed on hands the danger on.
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/to_thread.hpp>
#include <siding/wait_for.hpp>

#include <chrono>
#include <string>
#include <utility>

siding::Task<std::size_t> size_in_time(std::string text) {
  const auto limit = std::chrono::seconds(1);
#ifdef SIDING_GOOD
  auto call = siding::to_thread([text = std::move(text)] { return text.size(); });
  auto in_time = siding::wait_for(std::move(call), limit);
  co_return co_await in_time;
#else
  co_return co_await siding::wait_for(
      siding::to_thread([text = std::move(text)] { return text.size(); }), limit);
#endif
}
