// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/future_kinds.hpp>
#include <siding/detail/multi_wait.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/time.hpp>

#include <coroutine>
#include <ranges>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace siding {

/// When `wait` returns.
enum class ReturnWhen : unsigned char {
  all_completed,    ///< every future is done
  first_completed,  ///< one is done
  first_exception,  ///< one has failed, or all are done; a cancelled one has not failed
};

/// Settings of `wait`.
struct WaitOptions {
  ReturnWhen return_when = ReturnWhen::all_completed;
  Limit timeout{};  ///< return what is there when it has passed; none by default
};
static_assert(std::is_trivially_destructible_v<WaitOptions>);

/// What `wait` gives: both parts in the order in which the futures were given.
template <class F>
struct WaitResult {
  std::vector<F> done;
  std::vector<F> pending;
};

namespace detail {

/// Throws std::invalid_argument if `count` is 0.
SIDING_EXPORT void check_something_to_wait_for(std::size_t count);
[[noreturn]] SIDING_EXPORT void throw_waited_twice();
SIDING_EXPORT MultiWait::Until until(ReturnWhen return_when) noexcept;
/// Blocks a plain thread until they are as `options` say. Throws WouldBlockLoop.
SIDING_EXPORT void wait_blocking(const std::vector<AnyFuture>& futures, const WaitOptions& options);

/// Both parts of `futures`, as they are now.
template <class F>
WaitResult<F> parted(std::vector<F>& futures) {
  WaitResult<F> result;
  for (F& future : futures) {
    (future.done() ? result.done : result.pending).push_back(std::move(future));
  }
  return result;
}

template <class F>
class WaitAwaiter {
 public:
  WaitAwaiter(std::vector<F>& futures, const WaitOptions& options)
      : futures_(std::exchange(futures, {})),
        wait_(std::vector<AnyFuture>(futures_.begin(), futures_.end()), until(options.return_when),
              MultiWait::OnCancelled::detach, options.timeout) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    return wait_.await_suspend(handle, where);
  }
  WaitResult<F> await_resume() {
    wait_.await_resume();
    return parted(futures_);
  }

 private:
  std::vector<F> futures_;
  MultiWait wait_;
};

}  // namespace detail

/// What `wait` returns. One-shot; keeps handles, so the range it was made from may go.
template <class F>
class [[nodiscard("nothing happens until this is awaited, or got on a plain thread")]] WaitOp {
 public:
  using value_type = WaitResult<F>;

  WaitOp(std::vector<F> futures, WaitOptions options)
      : futures_(std::move(futures)), options_(options) {
    detail::check_something_to_wait_for(futures_.size());
    for (const F& future : futures_) {
      if (!future.valid()) detail::throw_no_future();
    }
    std::unordered_set<AnyFuture> seen;
    std::erase_if(futures_, [&seen](const F& future) { return !seen.insert(future).second; });
  }

  /// A second await throws InvalidStateError.
  detail::WaitAwaiter<F> operator co_await() {
    // What is awaited, or moved from, leaves no futures behind.
    if (futures_.empty()) detail::throw_waited_twice();
    return {futures_, options_};
  }

  /// The same, but blocks the calling thread, which runs no loop.
  /// Throws: WouldBlockLoop on the thread of a running loop, unless there is nothing to wait for;
  ///   InvalidStateError the second time.
  WaitResult<F> get() && {
    if (futures_.empty()) detail::throw_waited_twice();
    std::vector<F> futures = std::exchange(futures_, {});
    detail::wait_blocking(std::vector<AnyFuture>(futures.begin(), futures.end()), options_);
    return detail::parted(futures);
  }

 private:
  std::vector<F> futures_;
  WaitOptions options_;
};

/// Waits for several futures, and tells which are done. Their errors stay in them.
///
/// `co_await wait(...)` on a loop, `wait(...).get()` on a plain thread.
///
/// Parameters:
///   futures  a range of futures, or the futures one by one (they may have different types; then the
///            results are `AnyFuture`). Repeated ones count once. Copied at the call.
///   options  when to return, and a timeout; last for a range, first otherwise.
/// Returns: `done` and `pending`, each in the order given. A timeout is no error, and nothing is
///   cancelled by it.
/// Throws: at the call std::invalid_argument if there is none, InvalidStateError if one is empty;
///   Cancelled, when awaited; WouldBlockLoop from `get()` on the thread of a running loop.
/// Thread safety: await on a loop's thread; get() on any other.
/// Cancellation: ends the wait; the futures go on.
template <detail::future_range R>
WaitOp<detail::range_future_t<R>> wait(R&& futures, WaitOptions options = {}) {
  std::vector<detail::range_future_t<R>> handles;
  for (auto&& future : futures) handles.push_back(future);
  return {std::move(handles), options};
}
template <detail::future_like... F>
  requires(sizeof...(F) > 0)
WaitOp<detail::common_future_t<F...>> wait(WaitOptions options, const F&... futures) {
  std::vector<detail::common_future_t<F...>> handles;
  (handles.push_back(futures), ...);
  return {std::move(handles), options};
}
template <detail::future_like... F>
  requires(sizeof...(F) > 0)
WaitOp<detail::common_future_t<F...>> wait(const F&... futures) {
  return siding::wait(WaitOptions{}, futures...);
}
/// Tasks have to be started first.
template <class R>
  requires(!detail::future_range<R> && std::ranges::input_range<R> &&
           Awaitable<std::ranges::range_value_t<R>>)
void wait(R&&, WaitOptions = {}) {
  static_assert(sizeof(R) == 0,
                "wait() takes futures, of what runs already: start the tasks with create_task(), "
                "or use gather(), which starts them");
}

}  // namespace siding
