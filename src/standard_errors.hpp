// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/remote_exception.hpp>

#include <span>

namespace siding::detail {

/// The exception types of the standard library and of siding.
std::span<const ErrorType> standard_errors() noexcept;

}  // namespace siding::detail
