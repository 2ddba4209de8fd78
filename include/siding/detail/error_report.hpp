// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>
#include <siding/future.hpp>

#include <exception>
#include <string>
#include <string_view>

namespace siding::detail {

/// Hands an error that nobody can catch to the exception handler of the loop behind `inbox`, from
/// any thread, or to the log if `inbox` is null or its loop is closed. Without an inbox, a running
/// loop on this thread is told.
SIDING_EXPORT void report_error(std::shared_ptr<Inbox> inbox, std::string_view message,
                                std::exception_ptr error, AnyFuture source) noexcept;

/// The default handler: one line with the type and text of the error.
SIDING_EXPORT void log_error(std::string_view message, const std::exception_ptr& error,
                             std::string_view source) noexcept;

/// "std::runtime_error: the text", or "siding::Cancelled", or the type's name.
SIDING_EXPORT std::string describe(const std::exception_ptr& error);

}  // namespace siding::detail
