// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/gather.hpp>
#include <siding/to_thread.hpp>

#include <string>
#include <tuple>
#include <utility>

siding::Task<int> one();

siding::Task<std::size_t> size_and_one(std::string text) {
#ifdef SIDING_GOOD
  auto both =
      siding::gather(siding::to_thread([text = std::move(text)] { return text.size(); }), one());
  auto [size, number] = co_await both;
#else
  auto [size, number] = co_await siding::gather(
      siding::to_thread([text = std::move(text)] { return text.size(); }), one());
#endif
  co_return size + static_cast<std::size_t>(number);
}
