// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/body.hpp>
#include <siding/detail/error_report.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/detail/timeout_scope.hpp>
#include <siding/task.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace siding {

namespace detail {

template <class Body, class Cleanup>
Task<body_result_t<Body>> cleanup_task(Body body, Cleanup cleanup) {
  using T = body_result_t<Body>;
  std::optional<stored_t<T>> value;
  std::exception_ptr failure;
  try {
    auto task = body();
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
    } else if constexpr (std::is_reference_v<T>) {
      T result = co_await std::move(task);
      value = std::addressof(result);
    } else {
      T result = co_await std::move(task);
      value.emplace(std::move(result));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  std::exception_ptr of_cleanup;
  try {
    auto tidying = cleanup();
    co_await std::move(tidying);
  } catch (...) {
    of_cleanup = std::current_exception();
  }
  if (of_cleanup != nullptr) {
    // One can be thrown: the newer one, as from a handler.
    if (failure != nullptr && !is_cancelled(failure)) {
      TaskContext& context = co_await CurrentContext();
      report_error(context.scheduler().inbox, "a cleanup threw over the error of its body", failure,
                   {});
    }
    std::rethrow_exception(std::move(of_cleanup));
  }
  if (failure != nullptr) std::rethrow_exception(std::move(failure));
  if constexpr (std::is_reference_v<T>) {
    co_return **value;
  } else if constexpr (!std::is_void_v<T>) {
    co_return std::move(*value);
  }
}

}  // namespace detail

/// Runs `body`, then `cleanup`, whatever came of the body, then passes on what that was. For cleaning
/// up that itself awaits: C++ allows no `co_await` in a handler, and none in a destructor.
///
/// Parameters:
///   body     a callable that returns a Task; kept until the end.
///   cleanup  a callable that returns a Task<>; called when the body has ended.
/// Returns: what the body returns.
/// Throws: what the cleanup throws, and then an error of the body goes to the loop's exception handler;
///   else what the body throws.
/// Thread safety: await on a loop's thread.
/// Cancellation: reaches the body, whose cleanup then runs to its end; a second one reaches the
///   cleanup. A cleanup that must not be interrupted awaits a `shield()`.
/// Source: Python's `finally`.
template <detail::body_of<> Body, detail::body_of<> Cleanup>
TaskOp<detail::body_result_t<Body>, detail::guard<Body, Cleanup>> with_cleanup(Body&& body,
                                                                              Cleanup&& cleanup) {
  return TaskOp<detail::body_result_t<Body>, detail::guard<Body, Cleanup>>(
      detail::cleanup_task<std::decay_t<Body>, std::decay_t<Cleanup>>(
          std::forward<Body>(body), std::forward<Cleanup>(cleanup)));
}

}  // namespace siding
