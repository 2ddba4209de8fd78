// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/sanitizers.hpp>

#include <cstddef>

#if SIDING_SANITIZED
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#else
#include <malloc.h>
#endif

namespace siding_test {

/// Bytes that the program has from malloc and has not freed.
inline std::size_t heap_bytes() {
#if SIDING_SANITIZED
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

}  // namespace siding_test
