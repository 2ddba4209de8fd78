// SPDX-License-Identifier: MIT
#pragma once

#ifndef __cpp_impl_coroutine
#error "siding needs C++20 coroutines: compile with -std=c++20 or later"
#endif

#include <siding/export.hpp>

#define SIDING_VERSION_MAJOR 0
#define SIDING_VERSION_MINOR 1
#define SIDING_VERSION_PATCH 0

namespace siding {

/// The version of the library that is linked, as "major.minor.patch".
SIDING_EXPORT const char* version() noexcept;

}  // namespace siding
