// SPDX-License-Identifier: MIT
// refused by g++ before 12.3: array used as initializer
// GCC PR 103871: an initializer list with co_await in it.
#include <siding/task.hpp>

#include <vector>

siding::Task<int> number();

siding::Task<int> sum() {
  auto numbers = std::vector<int>{co_await number(), co_await number()};
  co_return numbers[0] + numbers[1];
}
