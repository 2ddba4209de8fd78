// SPDX-License-Identifier: MIT
// The guard is on where the compiler needs it, without anybody asking for it.
// compilers: g++
// expect: would destroy a temporary in this co_await expression twice
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

#include <cstddef>
#include <string>

siding::Task<std::size_t> size_in_thread() {
  const std::string text = "a text";
#ifdef SIDING_GOOD
  const std::size_t size = co_await siding::to_thread([&text] { return text.size(); });
#else
  const std::size_t size = co_await siding::to_thread([text] { return text.size(); });
#endif
  co_return size;
}
