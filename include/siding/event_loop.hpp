// SPDX-License-Identifier: MIT
#pragma once

#include <siding/create_task.hpp>
#include <siding/detail/scheduled_call.hpp>
#include <siding/detail/signal_handler.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error_report.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>
#include <siding/time.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace siding {

class Executor;
class EventLoop;

namespace detail {
class Loop;
struct ThreadsafeSpawn;
}
namespace testing {
class VirtualClock;
}

/// Settings of a loop.
struct LoopOptions {
  /// For tests: time that jumps; null is the real clock.
  testing::VirtualClock* clock = nullptr;
  /// How long the loop looks for the result of a call that a task awaits before it sleeps; zero: not
  /// at all. A loop that waits for no call sleeps at once.
  std::chrono::nanoseconds spin = std::chrono::microseconds(20);
  /// Debug mode, which costs two looks at the clock for each step. Not set: on where the environment
  /// variable SIDING_DEBUG is set, and neither empty nor 0. It tells the exception handler of
  ///   - steps that hold the loop for `slow_step` or longer, with the task and the place from which it
  ///     went on;
  ///   - tasks that are destroyed without having been awaited or started, with their function.
  std::optional<bool> debug{};
  std::chrono::nanoseconds slow_step = std::chrono::milliseconds(100);
  /// A thread that watches the loop while it runs: when the loop has not come round for this long, a
  /// line in the log says so at once, with the task and the stack of the loop's thread. Off without a
  /// limit. It wakes four times in that length, also while the loop sleeps, and interrupts a loop
  /// that is stuck with SIGURG: blocking system calls that SA_RESTART does not restart, such as
  /// poll() and nanosleep(), end with EINTR there. For the stack of a function that is not exported
  /// it gives module and offset. At least 1 ms, else std::invalid_argument; a run throws
  /// std::system_error if there is no thread for it.
  Limit watchdog{};
};

/// Counters of a loop since it was made; what must not grow is tested with them.
struct LoopCounters {
  std::uint64_t iterations = 0;  ///< passes over the ready queue
  std::uint64_t sleeps = 0;      ///< times it slept in the kernel
  std::uint64_t wakes = 0;       ///< sleeps ended by another thread: eventfd writes
  std::uint64_t timers = 0;      ///< timers armed now
};

/// An io_uring event loop: runs tasks, callbacks and timers on one thread, and sleeps in the kernel
/// when there is nothing to run.
///
/// Most programs use `run()` and never name it. A loop belongs to the first thread that runs it; it
/// installs no signal handlers unasked.
///
/// States: made, running, stopped (can be run again), closed.
/// Thread safety: distinct objects: safe, one per thread. Shared objects: loop thread only, except
///   call_soon_threadsafe(), stop() and dump_tasks(), which any thread may call.
/// Requires: Linux 6.1 and permission to use io_uring, else IoUringUnavailable says what is missing.
class SIDING_EXPORT EventLoop {
 public:
  /// Throws: IoUringUnavailable, with the cause decoded; std::system_error if no eventfd can be had.
  explicit EventLoop(LoopOptions options = {});
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  /// Closes it, if that has not been done.
  ~EventLoop();

  /// The loop that this thread is running. Throws: NoRunningLoop.
  static EventLoop& current();
  static EventLoop* current_or_null() noexcept;

  /// Calls `fn` in the next iteration, after what is scheduled already.
  ///
  /// Returns: a handle that can cancel it; dropping it changes nothing.
  /// Throws: LoopClosed; std::logic_error while the loop runs on another thread, as do call_later(),
  ///   call_at() and create_task(): call_soon_threadsafe() is for that.
  /// An exception that leaves `fn` goes to the exception handler; the loop goes on.
  template <std::invocable Fn>
  TimerHandle call_soon(Fn fn) {
    detail::Scheduler& loop = open_here("call_soon");
    return detail::schedule_call<Fn>(loop, std::move(fn));
  }

  /// Calls `fn` after `delay` at the earliest; one without limit is never called.
  template <std::invocable Fn>
  TimerHandle call_later(Limit delay, Fn fn) {
    detail::Scheduler& loop = open_here("call_later");
    return detail::schedule_call_at<Fn>(loop, detail::deadline(time(), delay), std::move(fn));
  }

  /// Calls `fn` when time() has reached `when`; the calls run in order of time.
  template <std::invocable Fn>
  TimerHandle call_at(TimePoint when, Fn fn) {
    detail::Scheduler& loop = open_here("call_at");
    return detail::schedule_call_at<Fn>(loop, when, std::move(fn));
  }

  /// Calls `fn` on the loop's thread, waking the loop if it sleeps. Any thread.
  ///
  /// Calls from one thread keep their order. If the loop is closed before it came to the call, `fn`
  /// is destroyed unrun.
  /// Throws: LoopClosed if the loop is closed; `fn` is destroyed, not called.
  template <std::invocable Fn>
  void call_soon_threadsafe(Fn fn) {
    detail::post_call<Fn>(open("call_soon_threadsafe"), std::move(fn));
  }

  /// Calls `fn` on the loop's thread when `signal` has been raised, as an ordinary callback, which may
  /// do anything. A signal that is raised again before the loop came to it is told once.
  ///
  /// The signal belongs to this loop until the handler is removed or the loop is closed; then it does
  /// again what it did before. While the loop does not run, it waits. A forked child that is still
  /// inside the run gets what the signal does by default.
  ///
  /// Parameters:
  ///   signal  its number; a handler of this loop that it has already is replaced.
  ///   fn      called with the context variables of this call.
  /// Throws: std::invalid_argument where there is no such signal, or where it cannot be handled so:
  ///   SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL; std::logic_error if another loop has it, or
  ///   while the loop runs on another thread; LoopClosed; std::system_error without a descriptor.
  /// SIGINT: a handler takes it away from `run()`, which then cancels nothing.
  /// Source: asyncio's `add_signal_handler`, there only for the main thread's loop.
  template <std::invocable Fn>
  void add_signal_handler(int signal, Fn fn) {
    detail::add_signal_handler(open_here("add_signal_handler"), signal,
                               std::make_shared<detail::SignalFunction<Fn>>(std::move(fn)));
  }
  /// False if this loop has no handler for it.
  bool remove_signal_handler(int signal);
  [[nodiscard]] bool has_signal_handler(int signal) const;

  /// Calls `fn` when `descriptor` can be read from without blocking: there is data, its end, or an
  /// error to be fetched. Once in an iteration, and again while that is so. For what brings its own
  /// descriptors, such as the asynchronous interface of a database client.
  ///
  /// The loop keeps what stands behind the descriptor open while it is watched: remove the callback
  /// before you close it. A virtual clock does not wait for descriptors.
  ///
  /// Parameters:
  ///   descriptor  a socket, pipe, terminal, eventfd or such; a callback that it has is replaced.
  ///   fn          called with the context variables of this call. What it throws goes to the
  ///               exception handler, and the descriptor is watched on.
  /// Throws: std::system_error if it is no open descriptor; std::invalid_argument for a file or a
  ///   folder, which are always ready; LoopClosed; std::logic_error while the loop runs on another
  ///   thread.
  /// Source: asyncio's of the same name.
  template <std::invocable Fn>
  void add_reader(int descriptor, Fn fn) {
    open_here("add_reader");
    add_watch(descriptor, false, std::make_shared<detail::SignalFunction<Fn>>(std::move(fn)));
  }
  /// The same for writing.
  template <std::invocable Fn>
  void add_writer(int descriptor, Fn fn) {
    open_here("add_writer");
    add_watch(descriptor, true, std::make_shared<detail::SignalFunction<Fn>>(std::move(fn)));
  }
  /// False if there was no callback. Throws: LoopClosed; std::logic_error as above.
  bool remove_reader(int descriptor);
  bool remove_writer(int descriptor);

  /// Starts a task on this loop, also before it runs. See `siding::create_task`.
  template <class T>
  Future<T> create_task(Task<T> task, TaskOptions options = {}) {
    return detail::spawn(open_here("create_task"), task, options);
  }
  template <detail::body_of<> Body>
  Future<detail::body_result_t<Body>> create_task(Body&& body, TaskOptions options = {}) {
    return create_task(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)), options);
  }

  /// Is told of every error that nobody can catch: a callback that threw, a task or future that
  /// failed and was dropped unread. An empty function restores the default, which writes a line to
  /// the log sink. What a handler throws goes there too.
  void set_exception_handler(std::function<void(const ErrorReport& report)> handler);

  /// Makes `executor` the one of `to_thread()` and `run_in_executor(nullptr, ...)`. It is shut down
  /// with the loop by `run()` and `Runner`. The one before, if any, is given back and not shut down.
  /// So a pool that several loops have as their default ends with the first of their runs: where
  /// loops share a pool, name it in the calls, `offload(pool, ...)`.
  /// Throws: LoopClosed; ShutdownError after shutdown_default_executor().
  std::shared_ptr<Executor> set_default_executor(std::shared_ptr<Executor> executor);
  /// The default executor, or null if none was made yet.
  std::shared_ptr<Executor> default_executor() const;

  /// Shuts the default executor down without blocking the loop, and the default process pool with
  /// it, and waits until their calls have ended. Later default calls throw ShutdownError; other
  /// executors still work. A second call waits as well.
  ///
  /// Parameters:
  ///   limit  how long to wait at most; none by default.
  /// Returns: false if the limit passed first; then what has not ended is kept alive for good, since
  ///   its threads use it.
  /// Cancellation: waits all the same, until the calls have ended or the limit has passed, and then
  ///   throws Cancelled.
  Task<bool> shutdown_default_executor(Limit limit = {});

  /// The clock of call_at() and of every timeout. Never goes back.
  TimePoint time() const noexcept;

  /// Runs the loop until `task` has ended, and gives what it returned or throws what it threw.
  /// Throws: std::logic_error where a loop is running on this thread already; LoopClosed.
  template <class T>
  T run_until_complete(Task<T> task) {
    check_can_run("run_until_complete");
    Future<T> future = detail::spawn(scheduler(), task, {});
    run_until_done(future);
    return std::move(future).result();
  }
  template <detail::body_of<> Body>
  detail::body_result_t<Body> run_until_complete(Body&& body) {
    return run_until_complete(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)));
  }

  /// Runs the loop until stop().
  void run_forever();

  /// Lets the running iteration end, then makes run_forever() or run_until_complete() return. On a
  /// loop that does not run, the next run ends after one iteration. Any thread.
  void stop() noexcept;

  /// Ends the loop for good: what is scheduled is dropped, frames of tasks that still wait are
  /// destroyed (their futures end with LoopClosed), and later calls throw LoopClosed.
  ///
  /// Frames are destroyed from the outermost to the innermost, each within the one before: a chain of
  /// some 100 000 coroutines that await each other is too deep for a stack of 8 MiB. Ended by
  /// cancellation, as run() does, they need none.
  /// Blocks while a worker runs a call whose awaiter is being destroyed, as `std::jthread` does.
  /// Idempotent. Throws: std::logic_error while the loop runs.
  void close();
  bool is_closed() const noexcept;
  bool is_running() const noexcept;

  LoopCounters counters() const noexcept;

  /// Whether debug mode is on: see LoopOptions. Source: asyncio's of the same name.
  bool get_debug() const noexcept;
  /// Throws: std::logic_error while the loop runs on another thread, as all_tasks() does.
  void set_debug(bool on);

  /// All tasks that have not ended, the oldest first.
  std::vector<AnyFuture> all_tasks() const;

  /// Every task that has not ended, as text: its name, its age, what it waits for (a timer, a future,
  /// a lock, a call and whether that is queued or runs), and the places from which it does so, the
  /// innermost first. Any thread.
  ///
  /// On another thread than the loop's it is the loop that writes it, when it comes to that; if it
  /// does not within 50 ms, because a callback or a task does not give it back, its thread is
  /// interrupted: SIGURG is handled for that moment as LoopOptions::watchdog says, the dump is made
  /// in the handler, and the stack of the thread is part of it; tasks that nobody has named have no
  /// number then, and of more than a megabyte of text the oldest tasks are left out. A text says so if
  /// that fails too: the thread blocks SIGURG, or does not come to it within a second.
  /// Of a chain of coroutines the 64 innermost are shown, without those of the library.
  /// While the loop does not run: its owner's thread only.
  std::string dump_tasks() const;

 private:
  friend class Runner;
  friend struct detail::LoopAccess;
  friend struct detail::ThreadsafeSpawn;

  detail::Scheduler& scheduler() const noexcept;
  // Any thread. Throws LoopClosed, or std::logic_error in a forked child.
  detail::Scheduler& open(std::string_view what) const;
  // Throws as well where the loop is running on another thread.
  detail::Scheduler& open_here(std::string_view what) const;
  void check_can_run(std::string_view what) const;
  void add_watch(int descriptor, bool writable, std::shared_ptr<detail::SignalHandler> handler);
  void run_until_done(const AnyFuture& future);

  std::unique_ptr<detail::Loop> loop_;
};

}  // namespace siding
