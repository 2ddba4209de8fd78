// SPDX-License-Identifier: MIT
#include <siding/error.hpp>
#include <siding/promise.hpp>

namespace siding::detail {

void throw_outcome_given() {
  throw InvalidStateError("this promise has given its outcome, or its future was cancelled");
}

void throw_no_promise() {
  throw InvalidStateError("this promise was moved from: use the one that it was moved into");
}

std::exception_ptr make_broken_promise() {
  return std::make_exception_ptr(
      BrokenPromise("the promise was destroyed without giving an outcome"));
}

}  // namespace siding::detail
