// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/time.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

namespace siding {

class Limiter;

// Options of calls come first, in braces: to_thread({.name = "resize"}, fn, args...). They are
// aggregates that are trivially destructible, so that g++ 12 handles them well in a co_await
// expression; write the members in their order.

/// Settings of one offloaded call.
struct CallOptions {
  std::string_view name{};               ///< shown in reports; copied at the call
  OnCancel on_cancel = OnCancel::wait;   ///< awaited calls only
  /// Awaited calls only: waits until the limiter lets the call in. Null for none.
  Limiter* limiter = nullptr;
  /// Of the calls that wait for a worker of a pool, those of higher priority start first, and equal ones
  /// in their order. It hastens no call that runs, and none that a ProcessPool has sent to a busy worker
  /// already: one, or up to 31 where calls are short. Calls of low priority may wait for ever.
  int priority = 0;
  // On a ProcessPool only; elsewhere a call that asks for one of these is refused with
  // std::invalid_argument, because no function can be ended from outside in its own process.
  /// How long the function may run. Past it, one that takes a `std::stop_token` is asked to stop, and has
  /// `ProcessPoolOptions::cancel_grace` to return; then its worker is ended. The call fails with
  /// TimeoutError, also if the function returns after it was asked; a result that is there before that
  /// counts. The time in the queue does not.
  Limit run_limit{};
  /// How long the call may wait for a worker. Past it the call fails with TimeoutError, and is never made.
  Limit queue_limit{};
  /// How often the call is made again if the worker dies of it. Only for functions that may run twice;
  /// ends early at `ProcessPoolOptions::poison_limit`. It is not made again after a limit or a
  /// cancellation.
  unsigned retries = 0;
};

/// Settings of `Executor::map`.
struct MapOptions {
  Limit timeout{};  ///< for all results, counted from the call to `map`
  /// How many calls may be under way or unread at most; each that is taken makes room for the next.
  /// 0: no limit, all are submitted at once.
  std::size_t buffer = 0;
  /// How many inputs go to a worker as one call, at least 1: saves the way there for small calls.
  std::size_t chunk = 1;
  bool unordered = false;  ///< results in the order of completion
};

static_assert(std::is_trivially_destructible_v<CallOptions> &&
              std::is_trivially_destructible_v<MapOptions>);

namespace detail {

// Keeps a named options object out of the overloads that take a function first.
template <class T>
concept options = std::same_as<std::remove_cvref_t<T>, CallOptions> ||
                  std::same_as<std::remove_cvref_t<T>, MapOptions>;

}  // namespace detail
}  // namespace siding
