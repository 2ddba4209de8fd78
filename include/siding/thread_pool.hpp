// SPDX-License-Identifier: MIT
#pragma once

#include <siding/executor.hpp>
#include <siding/export.hpp>
#include <siding/when_full.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace siding {

/// What a thread pool does now, and did since it was made.
struct ThreadPoolStatistics {
  std::size_t workers = 0;     ///< threads that exist
  std::size_t busy = 0;        ///< those that run a call
  std::size_t idle = 0;        ///< those that wait for one
  std::size_t queued = 0;      ///< calls that have not started; one that was cancelled may be among them
  std::uint64_t completed = 0; ///< calls that returned
  std::uint64_t failed = 0;    ///< calls that threw
};

/// Settings of a thread pool. It may own strings: name it before a co_await expression.
struct ThreadPoolOptions {
  /// The most threads there will be, at least 1; by default the usable CPUs + 4, at most 32. A CPU that
  /// the affinity or the quota of a control group takes away is not usable.
  std::optional<std::size_t> max_workers{};
  /// Workers are called prefix_0, prefix_1 and so on; by default siding-0 for the first pool.
  std::string thread_name_prefix{};
  /// Runs once in each worker before its first call. If it throws, the pool is broken: all its
  /// pending and later work fails with BrokenExecutor, which holds the error nested.
  std::function<void()> initializer{};
  /// How long a worker that becomes idle looks for the next call before it sleeps; zero: not at all.
  /// One worker of the process does so at a time.
  std::chrono::nanoseconds spin = std::chrono::microseconds(20);
  /// How many calls may wait for a worker at most; 0: no limit.
  std::size_t queue_limit = 0;
  /// What happens to the next one.
  WhenFull when_full = WhenFull::block;
  /// How long a worker may be idle before it ends; a later call makes it anew. None by default: workers
  /// stay as long as the pool. Zero: they end as soon as there is nothing to do.
  Limit idle_timeout{};
  /// How many of them idle_timeout leaves; at most `max_workers`. None is made before it is needed.
  std::size_t min_workers = 0;
  /// Bytes of each worker's stack, rounded up to whole pages; 0: the system's default (`ulimit -s`). A
  /// function that goes beyond it ends the program by SIGSEGV.
  std::size_t stack_size = 0;
};

/// Threads that run calls which block.
///
/// A thread is made when a call finds none idle and there are fewer than `max_workers`; the one that
/// became idle last goes on first. A call that was submitted starts at once if a worker is idle or
/// can be made, whatever the running calls do. An idle pool uses no CPU. With `idle_timeout` threads that
/// are not needed end, those first that were idle for longest.
///
/// A worker that waits for a call which is queued on its own pool, by `get()` without a limit, runs it
/// itself; so nested calls do not wait for each other for ever.
///
/// Where the queue is bounded and full, WhenFull::block has `submit` block a plain thread until there
/// is room. A call that a task awaits (`offload`, `to_thread`) is queued all the same: its task
/// waits, so it cannot submit more. What would have to block elsewhere throws: on a loop's thread
/// WouldBlockLoop, on one of the pool's own workers QueueFull.
///
/// It needs no loop: plain threads submit and `get()`, and several loops may share one pool.
///
/// States: running, shut down (takes no more work, ends what it has), ended.
/// Thread safety: distinct objects: safe. Shared objects: safe.
/// Signals: workers block all signals that can be sent to a process.
/// Destruction: shuts down and waits for all calls that were taken over; not on one of its workers.
class SIDING_EXPORT ThreadPool final : public Executor {
 public:
  /// Throws: std::invalid_argument if `max_workers` is 0 or below `min_workers`, or if `stack_size` is
  ///   less than a thread needs. Starts no thread.
  explicit ThreadPool(ThreadPoolOptions options = {});
  ~ThreadPool() override;

  // As those of Executor, which they hide: these calls need not cross to another process.
  template <class F, class... Args>
    requires(!detail::options<F>)
  Future<detail::call_result_t<F, Args...>> submit(F&& fn, Args&&... args) {
    return submit(CallOptions{}, std::forward<F>(fn), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  Future<detail::call_result_t<F, Args...>> submit(CallOptions options, F&& fn, Args&&... args) {
    return detail::submit_call<detail::LocalCall<F, Args...>>(
        *this, detail::FutureState::Origin::call, nullptr, options, std::forward<F>(fn),
        std::forward<Args>(args)...);
  }

  /// Throws: ShutdownError; BrokenExecutor; std::system_error if not one thread can be started;
  ///   QueueFull and WouldBlockLoop as said above.
  void enqueue(Job job) override;
  Job withdraw(Job::Id job) noexcept override;
  /// Throws: InvalidStateError on one of its own workers, unless `wait` is false.
  bool stop(const ShutdownOptions& options) override;
  std::vector<std::string> running_calls() const override;

  std::size_t max_workers() const noexcept;
  /// Changes the maximum. If it grows, calls that wait get workers at once; if it shrinks, workers that
  /// are idle end, and others when their call has ended. No call is lost or interrupted.
  /// Throws: std::invalid_argument if it is 0.
  void set_max_workers(std::size_t workers);
  /// Threads that exist now; those that have decided to end do not count.
  std::size_t worker_count() const noexcept;

  /// All of it at one moment. A call counts as ended when its worker looks for the next.
  ThreadPoolStatistics statistics() const noexcept;

  /// The full name of the worker that calls it; empty on any other thread. The system's own name
  /// for the thread is the same, with the prefix cut so that it fits into 15 characters.
  static std::string_view current_worker_name() noexcept;

  struct Core;

 private:
  std::unique_ptr<Core> core_;
};

namespace detail {
template <>
inline constexpr bool calls_stay_local<ThreadPool> = true;
}  // namespace detail

}  // namespace siding
