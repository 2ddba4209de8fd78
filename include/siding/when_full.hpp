// SPDX-License-Identifier: MIT
#pragma once

namespace siding {

/// What a pool does with a call that its bounded queue has no room for.
enum class WhenFull : unsigned char {
  block,  ///< has `submit` wait for room; a task that awaits its call waits anyway
  fail,   ///< throws QueueFull
};

}  // namespace siding
