// SPDX-License-Identifier: MIT
#pragma once

/// Marks what a shared build of siding makes visible; everything else stays hidden.
#define SIDING_EXPORT __attribute__((visibility("default")))
