// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <string>
#include <string_view>

namespace siding {

/// Thrown at the suspension point of a task that was cancelled.
///
/// It is not a `std::exception`, so that a handler for ordinary errors does not swallow it. A task
/// may catch it, tidy up and rethrow it, or go on: cancellation is edge-triggered, each request is
/// thrown once. `co_await` is not allowed in a handler; set a flag there and await after it.
class SIDING_EXPORT Cancelled final {
 public:
  /// `reason` is the text given to `cancel()`; may be empty.
  explicit Cancelled(std::string_view reason = {}) : reason_(reason) {}
  const std::string& reason() const noexcept { return reason_; }

 private:
  std::string reason_;
};

/// What cancelling an offloaded call that is running already does.
enum class OnCancel : unsigned char {
  wait,     ///< the await ends when the function has returned: references it holds stay valid
  abandon,  ///< the await ends at once; the function runs on with its own copies
};

}  // namespace siding
