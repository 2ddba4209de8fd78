// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/portable_call.hpp>
#include <siding/executor.hpp>
#include <siding/export.hpp>
#include <siding/process_pool_options.hpp>

#include <cstddef>
#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace siding {

namespace detail {
class PoolCore;
}

/// Processes that run calls which burn CPU, or may crash.
///
/// A call that crashes its worker fails with WorkerCrashed; all others go on: those that had not
/// started are moved to other workers, and the worker is replaced.
///
/// Workers are copies of this program that stopped before main(): static objects exist there, what
/// main() did has not happened. StartMethod offers others. The function, its arguments and its result
/// are copied, so they must be Portable: free functions, lambdas without captures, values. What cannot
/// cross is refused at compile time, or with NotPortable where the pool is known as an Executor only.
///
/// A process is made when a call finds none idle and there are fewer than `max_workers`. A call that
/// was submitted starts at once if a worker is idle or can be made, whatever the running calls do.
///
/// Calls may have limits of time, and may be made again when a worker dies of them: see CallOptions.
/// Workers may be replaced and let go, confined, and asked for what they print: see ProcessPoolOptions.
///
/// Where the queue is bounded and full, it is as with ThreadPool: `submit` waits for room on a plain thread,
/// a call that a task awaits is queued all the same, and what would have to wait on a loop's thread throws.
///
/// It needs no loop: plain threads submit and `get()`, and several loops may share one pool.
///
/// Needs the process hook in the executable, which siding's Meson dependency and its pkg-config file
/// bring, but for StartMethod::snapshot; Linux 5.3, which has pidfd_open, by design: only 6.18 was tried.
/// Thread safety: distinct objects: safe. Shared objects: safe.
/// Signals: the program's handling of SIGCHLD is neither changed nor relied on. Workers ignore
///   SIGINT and SIGQUIT, which a terminal sends to them too.
/// Destruction: shuts down and waits for all calls that were taken over. When the last pool has
///   gone, no child process is left. A program that is killed takes its workers with it.
class SIDING_EXPORT ProcessPool final : public Executor {
 public:
  /// Throws: std::invalid_argument if an option has no meaning; ProcessPoolUnavailable if the program lacks
  ///   the hook; std::system_error if the fork of StartMethod::snapshot fails. Starts no process but that.
  explicit ProcessPool(ProcessPoolOptions options = {});
  ~ProcessPool() override;

  // As those of Executor, which they hide: here the compiler checks that the call can cross.
  template <class F, class... Args>
    requires(!detail::options<F>)
  Future<detail::call_result_t<F, Args...>> submit(F&& fn, Args&&... args) {
    detail::require_portable_call<F, Args...>();
    return Executor::submit(std::forward<F>(fn), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  Future<detail::call_result_t<F, Args...>> submit(CallOptions options, F&& fn, Args&&... args) {
    detail::require_portable_call<F, Args...>();
    return Executor::submit(options, std::forward<F>(fn), std::forward<Args>(args)...);
  }
  template <class F, std::ranges::input_range... R>
    requires(!detail::options<F> && sizeof...(R) > 0)
  detail::MapRange<detail::map_result_t<F, R...>> map(F&& fn, R&&... inputs) {
    return map(MapOptions{}, std::forward<F>(fn), std::forward<R>(inputs)...);
  }
  template <class F, std::ranges::input_range... R>
    requires(sizeof...(R) > 0)
  detail::MapRange<detail::map_result_t<F, R...>> map(MapOptions options, F&& fn, R&&... inputs) {
    detail::require_portable_call<F&, std::ranges::range_reference_t<R>...>();
    return Executor::map(options, std::forward<F>(fn), std::forward<R>(inputs)...);
  }

  /// Throws: NotPortable; ShutdownError; BrokenExecutor; ProcessPoolUnavailable in a worker, in a
  ///   child of fork(), or once the program could not be started again; std::system_error if the
  ///   pool's own thread cannot be started; QueueFull and WouldBlockLoop where the queue is bounded.
  void enqueue(Job job) override;
  Job withdraw(Job::Id job) noexcept override;
  /// Throws: InvalidStateError in a done-callback that the pool itself runs, unless `wait` is false.
  bool stop(const ShutdownOptions& options) override;
  std::vector<std::string> running_calls() const override;
  bool can_end_calls() const noexcept override;

  /// Takes no more work, lets what was taken over end, and ends the workers; as `shutdown`, but without
  /// blocking: `co_await pool.close()`.
  ///
  /// Parameters:
  ///   options  `cancel_pending` cancels what no worker has begun. `timeout`: past it the future fails with
  ///            TimeoutError, which names the calls that still run; the pool goes on ending.
  /// Returns: a future that is done when no worker is left; with `wait = false` at once.
  /// Thread safety: any thread, any number of times.
  /// Cancellation: cancelling the await changes nothing for the pool.
  Future<void> close(ShutdownOptions options = {});
  /// Ends all workers at once by SIGKILL. What was unfinished ends as cancelled, and no more work is taken;
  /// a call whose result has come back keeps it. Does not wait: `shutdown` or `close` do. Any thread.
  void kill() noexcept;

  /// Whether it works: not shut down, not broken, and the last worker that was asked for could be made.
  /// Any thread.
  [[nodiscard]] bool healthy() const noexcept;
  /// All of it at one moment. Any thread.
  [[nodiscard]] ProcessPoolStatistics statistics() const noexcept;

  std::size_t max_workers() const noexcept;
  /// Processes that exist now, or are being made.
  std::size_t worker_count() const noexcept;

 private:
  std::shared_ptr<detail::PoolCore> core_;
};

namespace detail {
template <>
inline constexpr bool needs_portable_calls<ProcessPool> = true;
}  // namespace detail

}  // namespace siding
