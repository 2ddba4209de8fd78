// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/race.hpp>
#include <siding/to_thread.hpp>

#include <string>
#include <utility>

siding::Task<std::size_t> one();

siding::Task<std::size_t> size_or_one(std::string text) {
#ifdef SIDING_GOOD
  auto both =
      siding::race(siding::to_thread([text = std::move(text)] { return text.size(); }), one());
  const auto won = co_await both;
#else
  const auto won = co_await siding::race(
      siding::to_thread([text = std::move(text)] { return text.size(); }), one());
#endif
  co_return won.value;
}
