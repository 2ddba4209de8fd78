// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/sanitizers.hpp>

#include <chrono>

namespace siding_test {

/// Upper bounds of time are this much wider under a sanitizer.
inline constexpr int slowness = SIDING_SANITIZED ? 5 : 1;

// The thread sanitizer lets no thread be started in the child of a program with threads.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitized = true;
#elif defined(__has_feature)
inline constexpr bool thread_sanitized = __has_feature(thread_sanitizer);
#else
inline constexpr bool thread_sanitized = false;
#endif

/// Far beyond what any case takes: reached only where something hangs.
inline constexpr std::chrono::seconds hang_limit{60};

}  // namespace siding_test
