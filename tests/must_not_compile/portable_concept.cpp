// SPDX-License-Identifier: MIT
// expect: (constraint|no matching function)
// expect: Portable
#include <siding/wire.hpp>

#include <cstddef>
#include <string>
#include <string_view>

struct Request {
#ifdef SIDING_GOOD
  std::string name;
#else
  std::string_view name;
#endif
};

std::size_t measured(const Request& request) { return siding::wire_size(request); }
