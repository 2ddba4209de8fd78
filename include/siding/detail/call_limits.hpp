// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <vector>

namespace siding::detail {

/// What few calls have: limits, and further attempts.
struct CallLimits {
  static constexpr std::chrono::nanoseconds none = std::chrono::nanoseconds::max();

  std::chrono::nanoseconds run = none;
  std::chrono::nanoseconds queue = none;
  unsigned retries = 0;

  // The executor's own.
  TimePoint queue_until = TimePoint::max();
  std::vector<std::exception_ptr> deaths;  // the reports of the workers that died of it
};

/// Null if the options ask for none of it. Throws std::bad_alloc.
SIDING_EXPORT std::unique_ptr<CallLimits> make_call_limits(const CallOptions& options);

inline std::unique_ptr<CallLimits> limits_of(const CallOptions& options) {
  if (!options.run_limit.has_value() && !options.queue_limit.has_value() && options.retries == 0)
      [[likely]] {
    return nullptr;
  }
  return make_call_limits(options);
}

}  // namespace siding::detail
