// SPDX-License-Identifier: MIT
// refused by g++ before 12.3: array used as initializer
// GCC PR 103871: an initializer list as argument of what is awaited. So `wait(a, b)` is variadic.
#include <siding/task.hpp>

#include <string>
#include <vector>

siding::Task<int> count(std::vector<std::string> texts);

siding::Task<int> two() {
  const int got = co_await count({std::string("a"), std::string("b")});
  co_return got;
}
