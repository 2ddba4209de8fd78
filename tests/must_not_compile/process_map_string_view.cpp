// SPDX-License-Identifier: MIT
// SE-002
// The first message says what is wrong, and the others name the part and the reason.
// expect: \A(?:(?!error:)[\s\S])*error: static assertion failed.*this type cannot cross
// expect: a_string_view_that_is_no_argument
#include <siding/process_pool.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

#ifdef SIDING_GOOD
using Kind = siding::Executor;  // any executor: looked at when it runs
#else
using Kind = siding::ProcessPool;
#endif

std::string_view name_of(int number);  // of what, in another process?

std::size_t measure(Kind& pool, const std::vector<int>& numbers) {
  std::size_t sum = 0;
  for (const std::string_view name : pool.map(name_of, numbers)) sum += name.size();
  return sum;
}
