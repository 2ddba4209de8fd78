// SPDX-License-Identifier: MIT
// expect(g++): cannot bind non-const lvalue reference
// expect(clang++): no matching function for call to 'take'
#include <siding/take.hpp>

#include <string>

#ifdef SIDING_GOOD
std::string text;
auto taken = siding::take(text);
#else
auto taken = siding::take(std::string("a text"));
#endif
