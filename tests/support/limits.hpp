// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/sanitizers.hpp>

#include <chrono>

namespace siding_test {

/// Upper bounds of time are this much wider under a sanitizer.
inline constexpr int slowness = SIDING_SANITIZED ? 5 : 1;

/// Far beyond what any case takes: reached only where something hangs.
inline constexpr std::chrono::seconds hang_limit{60};

}  // namespace siding_test
