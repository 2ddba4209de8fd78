// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <functional>
#include <string_view>

namespace siding {

/// Replaces the sink for the few lines the library writes on its own: an error that nobody looked
/// at, a callback that threw where no loop could be told, a pool whose initializer failed.
///
/// Parameters:
///   sink  called with one line without its line end; an empty function restores the default,
///         which writes to standard error. What it throws is swallowed.
/// Thread safety: any thread; calls of the sink are serialised.
SIDING_EXPORT void set_log_sink(std::function<void(std::string_view line)> sink);

namespace detail {

/// Writes one line to the sink. Any thread.
SIDING_EXPORT void log(std::string_view line) noexcept;

}  // namespace detail
}  // namespace siding
