// SPDX-License-Identifier: MIT
#include <siding/error.hpp>
#include <siding/promise.hpp>

namespace siding::detail {

void throw_outcome_given() {
  throw InvalidStateError(
      "this promise has given its outcome, or its future was cancelled; give one outcome, and call "
      "start() before the work to learn of a cancellation");
}

void throw_no_promise() {
  throw InvalidStateError("this promise was moved from: use the one that it was moved into");
}

std::exception_ptr make_broken_promise() {
  return std::make_exception_ptr(BrokenPromise(
      "the promise was destroyed without giving an outcome; call set_value(), set_exception() or "
      "set_cancelled() on every path"));
}

}  // namespace siding::detail
