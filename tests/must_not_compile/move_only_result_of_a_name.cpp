// SPDX-License-Identifier: MIT
// A future that has a name keeps its value: a move-only one has to be taken.
// expect(g++): use of deleted function
// expect(clang++): call to deleted constructor
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <memory>
#include <utility>

siding::Task<int> read(siding::Future<std::unique_ptr<int>> future) {
#ifdef SIDING_GOOD
  const auto& looked_at = co_await future;
  const int before = *looked_at;
  auto number = co_await std::move(future);
  co_return before + *number;
#else
  auto number = co_await future;
  co_return *number;
#endif
}
