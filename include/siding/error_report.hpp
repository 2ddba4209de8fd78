// SPDX-License-Identifier: MIT
#pragma once

#include <siding/future.hpp>

#include <exception>
#include <string_view>

namespace siding {

/// What the exception handler of a loop is told of an error that nobody can catch.
struct ErrorReport {
  std::string_view message;  ///< what happened, in one sentence
  std::exception_ptr error;  ///< null where nothing was thrown, as for the warnings of debug mode
  AnyFuture source;  ///< the task or future concerned; empty for a callback of `call_soon` and such
};

}  // namespace siding
