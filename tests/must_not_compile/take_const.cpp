// SPDX-License-Identifier: MIT
// A constant cannot be moved from: it would be copied in silence.
// expect: no matching function for call to .*take
#include <siding/take.hpp>

#include <string>

#ifdef SIDING_GOOD
std::string text = "a text";
#else
const std::string text = "a text";
#endif
auto taken = siding::take(text);
