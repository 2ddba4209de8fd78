// SPDX-License-Identifier: MIT
#include <siding/version.hpp>

#define SIDING_TEXT_OF(x) #x
#define SIDING_TEXT(x) SIDING_TEXT_OF(x)

namespace siding {

const char* version() noexcept {
  return SIDING_TEXT(SIDING_VERSION_MAJOR) "." SIDING_TEXT(SIDING_VERSION_MINOR) "." SIDING_TEXT(
      SIDING_VERSION_PATCH);
}

}  // namespace siding
