// SPDX-License-Identifier: MIT
#pragma once

#include <siding/awaitable.hpp>
#include <siding/detail/body.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/task_state.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace siding {

/// Settings of one spawned task.
struct TaskOptions {
  std::string_view name{};  ///< shown in reports; copied at the call
  /// The task takes its first step, up to its first suspension, inside the call that creates it.
  /// What ends there is done when the call returns, and was never scheduled.
  ///
  /// The creator goes on after that step, as after a function call. What the body throws is in the
  /// future. Where the loop does not run yet, on another thread than the loop's, and where 32
  /// are inside one another already, it begins in the next iteration, as others do.
  bool eager = false;
};
static_assert(std::is_trivially_destructible_v<TaskOptions>);

namespace detail {

/// Names a task that was just created, and has it take its first step if it is eager. The state may
/// be gone on return, if nobody holds a handle.
template <class State>
void begin(State& state, std::string_view name, bool eager) {
  if (!name.empty()) {
    try {
      state.set_name(name);
    } catch (...) {
      if (eager) state.start_later();  // it is the loop's, as any other whose name finds no memory
      throw;
    }
  }
  if (eager) state.start_now();
}

/// Starts `task` on `scheduler`, which the calling thread runs or is about to run.
template <class T>
Future<T> spawn(Scheduler& scheduler, Task<T>& task, const TaskOptions& options) {
  TaskFrame::check_unstarted(task);
  const bool eager = options.eager && starts_eagerly(scheduler);
  auto* state = new TaskState<T>(scheduler, task, 1, eager);
  Future<T> future = FutureAccess::adopt<T>(state);
  begin(*state, options.name, eager);
  return future;
}

}  // namespace detail

/// Starts a task on the current loop: it takes its first step in the loop's next iteration, or at
/// once if it is eager.
///
/// The loop owns it: dropping the returned future does not end it. Its frame, and so its arguments,
/// are destroyed when it ends, also while futures live on.
///
/// Parameters:
///   task     moved in.
///   options  a name for reports, and whether it is eager.
/// Returns: the future of what the task returns.
/// Throws: NoRunningLoop outside a loop; then the task is destroyed unstarted. InvalidStateError if
///   the task was moved from, or awaited before.
/// Thread safety: call on the loop's thread.
/// Cancellation: `Future::cancel`. Before the first step the body is never entered.
/// Complexity: one allocation beside the frame, both from free lists.
template <class T>
Future<T> create_task(Task<T> task, TaskOptions options = {}) {
  return detail::spawn(detail::require_scheduler("create_task"), task, options);
}

/// The same for a callable that returns a Task, such as a lambda that is a coroutine: the callable
/// is kept until the coroutine has ended, so its captures stay valid.
template <detail::body_of<> Body>
Started<detail::body_result_t<Body>, detail::guard<Body>> create_task(Body&& body,
                                                                      TaskOptions options = {}) {
  return Started<detail::body_result_t<Body>, detail::guard<Body>>(
      create_task(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)), options));
}

/// The same for anything else that can be awaited, such as the result of `to_thread(...)`.
template <Passable A>
  requires(!detail::is_task<A> && !detail::future_like<A> && !detail::body_of<A>)
Started<await_result_t<A>, detail::guard<A>> create_task(A&& awaitable, TaskOptions options = {}) {
  return Started<await_result_t<A>, detail::guard<A>>(
      create_task(detail::run_awaitable<std::decay_t<A>>(std::forward<A>(awaitable)), options));
}

/// The task that runs now on this thread; an empty handle outside any task.
SIDING_EXPORT AnyFuture current_task();

/// All tasks of the loop that this thread runs which have not ended, the oldest first; the current
/// one is among them. Throws: NoRunningLoop.
/// Complexity: linear; for looking on, not for doing.
SIDING_EXPORT std::vector<AnyFuture> all_tasks();

/// `EventLoop::dump_tasks` of the loop that this thread runs. Throws: NoRunningLoop.
SIDING_EXPORT std::string dump_tasks();

}  // namespace siding
