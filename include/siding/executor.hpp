// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/detail/call_state.hpp>
#include <siding/detail/map_range.hpp>
#include <siding/detail/submit.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/job.hpp>
#include <siding/time.hpp>

#include <concepts>
#include <memory>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace siding {

/// How an executor is shut down.
struct ShutdownOptions {
  bool wait = true;             ///< return only when everything that was taken over has ended
  bool cancel_pending = false;  ///< cancel what has not started, instead of running it
  Limit timeout{};              ///< how long to wait at most; none by default
};

/// Something that runs calls elsewhere: a pool of threads or processes, or your own class.
///
/// Users call `submit`, `map` and `shutdown`, or hand it to `run_in_executor` and `offload`.
/// Authors implement `enqueue` and `stop`, and `withdraw` if a queued job can be taken out again;
/// under sixty lines. An executor knows no loops and no coroutines.
///
/// Thread safety: distinct objects: safe. Shared objects: safe; every function may be called from
/// any thread.
/// Lifetime: must outlive every await of a call on it. Futures may outlive it.
class SIDING_EXPORT Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor();

  /// Has `fn(args...)` called on a worker, and returns at once.
  ///
  /// Parameters:
  ///   fn    any callable that can be moved. One that takes a `std::stop_token` first, and cannot be
  ///         called without, gets one.
  ///   args  decay-copied; use `std::ref` for what outlives the call, `take(x)` to move a name in.
  /// Returns: the future of what `fn` returns, decayed. Dropping it neither blocks nor drops the
  ///   work. It has no home loop: callbacks registered off-loop run in the completing thread, and
  ///   cancelling a running call changes nothing.
  /// Throws: what the executor refuses with, such as ShutdownError; then `fn` is not called.
  /// Thread safety: any thread.
  /// Complexity: one allocation, from a free list.
  template <class F, class... Args>
    requires(!detail::options<F>)
  Future<detail::call_result_t<F, Args...>> submit(F&& fn, Args&&... args) {
    return submit(CallOptions{}, std::forward<F>(fn), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  Future<detail::call_result_t<F, Args...>> submit(CallOptions options, F&& fn, Args&&... args) {
    return detail::submit_call<detail::BoundCall<F, Args...>>(
        *this, detail::FutureState::Origin::call, nullptr, options, std::forward<F>(fn),
        std::forward<Args>(args)...);
  }

  /// Submits `fn` for each element of the inputs (of several, up to the shortest) at once, and gives
  /// the results in input order.
  ///
  /// Parameters:
  ///   options  a limit of time; with `buffer`, calls are submitted only as results are taken, so
  ///            that inputs may be endless; with `chunk`, several inputs go to a worker as one call,
  ///            and the answer is the same; with `unordered`, results come as they complete.
  ///   fn       copied for each call.
  ///   inputs   read at the call. With a buffer the rest is read later: a range given by name has to
  ///            outlive the results; a temporary one is moved in, and a view copied.
  /// Returns: an input range. A step blocks until its result is there and throws what its call
  ///   threw; the other steps are as they were. Of a chunk that is lost with its process each step
  ///   throws. Destroying the range cancels the calls that have not started.
  /// Throws: std::invalid_argument for a chunk of 0, or a range that cannot be kept for later.
  ///   TimeoutError from the step that is late, counted from the call to `map`; it may be read
  ///   again. WouldBlockLoop from a step that would have to wait on a loop's thread. What the
  ///   executor refuses with, or the inputs throw: at once, and with a buffer from a step of its own
  ///   after those of the calls before.
  /// Lifetime: with a buffer the executor has to outlive the range.
  template <class F, std::ranges::input_range... R>
    requires(!detail::options<F> && sizeof...(R) > 0)
  detail::MapRange<detail::map_result_t<F, R...>> map(F&& fn, R&&... inputs) {
    return map(MapOptions{}, std::forward<F>(fn), std::forward<R>(inputs)...);
  }
  template <class F, std::ranges::input_range... R>
    requires(sizeof...(R) > 0)
  detail::MapRange<detail::map_result_t<F, R...>> map(MapOptions options, F&& fn, R&&... inputs) {
    return detail::map_calls(*this, options, std::forward<F>(fn), std::forward<R>(inputs)...);
  }

  /// Takes no more work, lets what was taken over end, and waits for it.
  ///
  /// Returns: false if the timeout passed first; calling again waits again. Then `running_calls()`
  ///   says what is still running.
  /// Thread safety: any thread, any number of times.
  bool shutdown(ShutdownOptions options = {}) { return stop(options); }

  // For authors. Named apart from the above, so that an override hides nothing.

  /// Takes a job over: to be run, failed or cancelled exactly once, on any thread, and not touched
  /// afterwards. Throwing means that it was not taken. Any thread.
  virtual void enqueue(Job job) = 0;

  /// Gives a queued job back, so that its caller need not wait for its turn. Empty: it is not queued
  /// here any more, or this executor cannot; then the caller waits until the job is settled. Called
  /// only for jobs whose caller still waits. Any thread.
  virtual Job withdraw(Job::Id job) noexcept;

  /// As `shutdown`. Idempotent. The destructor of a derived class has to call it.
  virtual bool stop(const ShutdownOptions& options) = 0;

  /// Whether it can end calls that run: then it goes by `run_limit`, `queue_limit` and `retries` of
  /// CallOptions. By default not, and calls that ask for one of them are refused. Any thread.
  [[nodiscard]] virtual bool can_end_calls() const noexcept;

  // For both.

  /// Names the calls that are running: each by the name that it was given, or else by the type of its
  /// function. Empty if there is none, or if this executor does not know. For reports, such as that of
  /// a shutdown that did not end in time. Any thread.
  [[nodiscard]] virtual std::vector<std::string> running_calls() const;
};

/// Names an executor in a call: a reference, a pointer, or `nullptr` for the loop's default pool.
/// It keeps nothing alive.
class ExecutorRef {
 public:
  ExecutorRef(std::nullptr_t) noexcept {}
  ExecutorRef(Executor& executor) noexcept : executor_(&executor) {}
  ExecutorRef(Executor* executor) noexcept : executor_(executor) {}
  template <std::derived_from<Executor> E>
  ExecutorRef(const std::shared_ptr<E>& executor) noexcept : executor_(executor.get()) {}

  Executor* get() const noexcept { return executor_; }

 private:
  Executor* executor_ = nullptr;
};

/// What can name an executor. A literal 0 and a temporary pool cannot.
template <class E>
concept ExecutorArgument = std::convertible_to<E, ExecutorRef>;

}  // namespace siding
