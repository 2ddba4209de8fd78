// SPDX-License-Identifier: MIT
// A pointer in an argument is found however deep it is.
// expect: this type cannot cross to another process
// expect: a_pointer
// expect: Route
#include <siding/wire.hpp>

#include <cstddef>
#include <vector>

struct Route {
  int length;
#ifdef SIDING_GOOD
  std::vector<int> stops;
#else
  std::vector<int*> stops;
#endif
};

std::vector<std::byte> sent(const std::vector<Route>& routes) {
  siding::WireWriter writer;
  writer.value(routes);
  return {};
}
