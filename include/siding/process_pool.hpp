// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/portable_call.hpp>
#include <siding/executor.hpp>
#include <siding/export.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <utility>

namespace siding {

namespace detail {
class PoolCore;
}

/// How a process pool is made.
struct ProcessPoolOptions {
  /// At most so many workers, 1 to 4096; by default the usable CPUs, of which affinity and a quota of the
  /// control group take away.
  std::optional<std::size_t> max_workers{};
  /// Shown in reports, and as the workers' name in the system (cut to 15 characters).
  std::string name = "siding-worker";
  /// Runs once in each worker before its first call. If it throws, the pool is broken: all its
  /// pending and later work fails with BrokenExecutor, which holds the error nested.
  void (*initializer)() = nullptr;
  /// How long a cancelled call whose function takes a `std::stop_token` may go on before its worker
  /// is killed. A function that takes none is not given any time.
  std::chrono::nanoseconds cancel_grace = std::chrono::milliseconds(200);
  /// How long a worker that becomes idle looks for the next call before it sleeps; zero: not at all.
  std::chrono::nanoseconds spin = std::chrono::microseconds(20);
};

/// Processes that run calls which burn CPU, or may crash.
///
/// A call that crashes its worker fails with WorkerCrashed; all others go on: those that had not
/// started are moved to other workers, and the worker is replaced.
///
/// Workers are copies of this program that stopped before main(): static objects exist there, what
/// main() did has not happened. The function, its arguments and its result are copied, so they must
/// be Portable: free functions, lambdas without captures, values. What cannot cross is refused at
/// compile time, or with NotPortable where the pool is known as an Executor only.
///
/// A process is made when a call finds none idle and there are fewer than `max_workers`. A call that
/// was submitted starts at once if a worker is idle or can be made, whatever the running calls do.
///
/// It needs no loop: plain threads submit and `get()`, and several loops may share one pool.
///
/// Needs the process hook in the executable, which siding's Meson dependency and its pkg-config file
/// bring; Linux 5.3, which has pidfd_open, by design: only 6.18 was tried.
/// Thread safety: distinct objects: safe. Shared objects: safe.
/// Signals: the program's handling of SIGCHLD is neither changed nor relied on. Workers ignore
///   SIGINT and SIGQUIT, which a terminal sends to them too.
/// Destruction: shuts down and waits for all calls that were taken over. When the last pool has
///   gone, no child process is left. A program that is killed takes its workers with it.
class SIDING_EXPORT ProcessPool final : public Executor {
 public:
  /// Throws: std::invalid_argument if `max_workers` is 0 or above 4096; ProcessPoolUnavailable if
  ///   the program lacks the hook. Starts no process.
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
  ///   pool's own thread cannot be started.
  void enqueue(Job job) override;
  Job withdraw(Job::Id job) noexcept override;
  /// Throws: InvalidStateError in a done-callback that the pool itself runs, unless `wait` is false.
  bool stop(const ShutdownOptions& options) override;
  std::vector<std::string> running_calls() const override;

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
