// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

#include <string>
#include <utility>

siding::Task<std::size_t> size_in_thread(std::string text) {
#ifdef SIDING_GOOD
  auto call = siding::to_thread({.name = "size"}, [text = std::move(text)] { return text.size(); });
  co_return co_await call;
#else
  co_return co_await siding::to_thread({.name = "size"},
                                       [text = std::move(text)] { return text.size(); });
#endif
}
