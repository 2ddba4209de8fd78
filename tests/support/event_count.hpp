// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace siding_test {

/// The counter of an eventfd, without reading it: the number of writes if nobody has read it.
inline std::uint64_t event_count(int event_fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(event_fd));
  for (std::string word; info >> word;) {
    if (word != "eventfd-count:") continue;
    std::uint64_t count = 0;
    info >> std::hex >> count;
    return count;
  }
  return ~std::uint64_t{0};
}

}  // namespace siding_test
