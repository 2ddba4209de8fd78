// SPDX-License-Identifier: MIT
#pragma once

// SIDING_SANITIZED: 1 where a sanitizer watches memory. Recycled blocks would hide a use after
// free from it, so recycling is off there.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIDING_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SIDING_SANITIZED 1
#endif
#endif
#ifndef SIDING_SANITIZED
#define SIDING_SANITIZED 0
#endif
