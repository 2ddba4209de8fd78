// SPDX-License-Identifier: MIT
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/queue.hpp>
#include <siding/task.hpp>

#include <string>

struct Item {
  std::string name;
};

siding::Task<> feed(siding::Queue<Item>& queue) {
#ifdef SIDING_GOOD
  auto put = queue.put({"a name"});
  co_await put;
#else
  co_await queue.put({"a name"});
#endif
}
