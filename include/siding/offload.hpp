// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/bound_call.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/offload_awaiter.hpp>
#include <siding/executor.hpp>
#include <siding/export.hpp>
#include <siding/take.hpp>

#include <memory>
#include <string>
#include <utility>

namespace siding {

namespace detail {
[[noreturn]] SIDING_EXPORT void throw_offloaded_twice();

/// A mark that a one-shot object sets; set as well in one that was moved from.
class Spent {
 public:
  Spent(bool spent = false) noexcept : spent_(spent) {}
  Spent(Spent&& other) noexcept : spent_(std::exchange(other.spent_, true)) {}
  Spent& operator=(bool spent) noexcept {
    spent_ = spent;
    return *this;
  }
  explicit operator bool() const noexcept { return spent_; }

 private:
  bool spent_;
};
}

/// What `offload` and `to_thread` return: a call that is made when it is awaited. Move-only,
/// one-shot.
template <class Call, bool G>
class [[nodiscard("nothing happens until this is awaited")]] OffloadOp {
 public:
  using value_type = typename Call::result_type;
  static constexpr bool guarded = G;
  static_assert(detail::fits_in_frame<Call>,
                "an argument that is aligned more strictly than operator new cannot be kept in a "
                "coroutine's frame, where compilers would misplace it: pass it in a "
                "std::unique_ptr, or use run_in_executor(), which keeps it on the heap");

  template <class... Parts>
  OffloadOp(ExecutorRef executor, const CallOptions& options, std::in_place_t, Parts&&... parts)
      : call_(std::in_place, std::forward<Parts>(parts)...),
        name_(options.name),
        executor_(executor.get()),
        limiter_(options.limiter),
        priority_(options.priority),
        limits_(detail::limits_of(options)),
        on_cancel_(options.on_cancel) {}
  template <class... Parts>
  OffloadOp(detail::DefaultPool pool, const CallOptions& options, std::in_place_t, Parts&&... parts)
      : OffloadOp(ExecutorRef(nullptr), options, std::in_place, std::forward<Parts>(parts)...) {
    pool_ = pool;
  }
  OffloadOp(OffloadOp&&) = default;

  /// A second await throws InvalidStateError.
  detail::OffloadAwaiter<Call> operator co_await() & {
    if (std::exchange(used_, true)) detail::throw_offloaded_twice();
    return detail::OffloadAwaiter<Call>(
        {executor_, limiter_, name_, priority_, std::move(limits_), pool_}, call_, on_cancel_);
  }
  template <class Self = Call>
  detail::OffloadAwaiter<Call> operator co_await() && {
    static_assert(!G || sizeof(Self) == 0, SIDING_GUARD_MESSAGE);
    return static_cast<OffloadOp&>(*this).operator co_await();
  }

 private:
  Call call_;
  std::string name_;
  Executor* executor_;
  Limiter* limiter_;
  int priority_;
  std::unique_ptr<detail::CallLimits> limits_;
  OnCancel on_cancel_;
  detail::DefaultPool pool_ = detail::DefaultPool::threads;
  detail::Spent used_;
};

/// Calls `fn(args...)` on `executor` and awaits its result; the loop runs other tasks meanwhile.
///
/// Lazy: the call is submitted when it is awaited. The job lives in the awaiting coroutine's frame,
/// so a call allocates nothing, except for a name of more than 15 characters, for a function that
/// takes a `std::stop_token`, and for OnCancel::abandon.
///
/// Parameters:
///   executor  a reference, a pointer, or `nullptr` for the loop's default pool; must outlive the
///             await.
///   options   optional, first, in braces: a name, what cancelling does, a limiter.
///   fn        any callable that can be moved. One that takes a `std::stop_token` first, and cannot
///             be called without, gets one.
///   args      decay-copied into the awaitable; `std::ref` passes a reference, `take(x)` moves `x`.
/// Returns: what `fn` returns, decayed.
/// Limiter: with `{.limiter = &limiter}` the call waits in its task, outside of the executor, until it
///   is let in; cancelled there it never runs.
/// Throws: what `fn` throws; what the executor refuses with, such as ShutdownError; Cancelled.
/// Thread safety: await on a loop. `fn` runs on a worker, at the same time as the loop.
/// Cancellation: queued: taken back, `Cancelled` at once, `fn` never runs. Running: a
///   `std::stop_token` is tripped, the await lasts until `fn` has returned, so that references to the
///   caller's locals stay valid, and then throws `Cancelled`; what `fn` returned is dropped, what it
///   threw goes to the loop's exception handler. With OnCancel::abandon the await ends at once
///   instead and `fn` runs on with its own copies.
/// Lifetime: a frame that is destroyed while its call runs blocks until `fn` has returned.
template <ExecutorArgument E, class F, class... Args>
  requires(!detail::options<F>)
OffloadOp<detail::call_on_t<E, F, Args...>, detail::guard<F, Args...>> offload(E&& executor, F&& fn,
                                                                            Args&&... args) {
  detail::check_crossing<E, F, Args...>();
  return {ExecutorRef(std::forward<E>(executor)), CallOptions{}, std::in_place,
          detail::Kept<F>::pass(fn), detail::Kept<Args>::pass(args)...};
}
template <ExecutorArgument E, class F, class... Args>
OffloadOp<detail::call_on_t<E, F, Args...>, detail::guard<F, Args...>> offload(E&& executor,
                                                                            CallOptions options,
                                                                            F&& fn,
                                                                            Args&&... args) {
  detail::check_crossing<E, F, Args...>();
  return {ExecutorRef(std::forward<E>(executor)), options, std::in_place,
          detail::Kept<F>::pass(fn), detail::Kept<Args>::pass(args)...};
}

}  // namespace siding
