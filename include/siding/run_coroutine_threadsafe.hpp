// SPDX-License-Identifier: MIT
#pragma once

#include <siding/create_task.hpp>
#include <siding/detail/body.hpp>
#include <siding/detail/node.hpp>
#include <siding/detail/task_state.hpp>
#include <siding/event_loop.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace siding {

namespace detail {

/// A task on its way to its loop from another thread.
template <class T>
class TaskArrival final : public Node {
 public:
  explicit TaskArrival(TaskState<T>& state) noexcept : state_(state) {}
  void run() noexcept override {
    const std::unique_ptr<TaskArrival> self(this);
    state_.arrive();
  }
  void refuse() noexcept override {
    const std::unique_ptr<TaskArrival> self(this);
    state_.refuse_arrival();
  }

 private:
  TaskState<T>& state_;  // holds the loop's reference to itself
};

[[noreturn]] SIDING_EXPORT void throw_closed_to_tasks();

struct ThreadsafeSpawn {
  template <class T>
  static Future<T> spawn(EventLoop& loop, Task<T>& task, const TaskOptions& options) {
    Scheduler& scheduler = loop.open("run_coroutine_threadsafe");
    if (current_scheduler == &scheduler) return detail::spawn(scheduler, task, options);
    TaskFrame::check_unstarted(task);
    auto* state = new TaskState<T>(scheduler, task, FromOutside());
    Future<T> future = FutureAccess::adopt<T>(state);
    auto arrival = std::unique_ptr<TaskArrival<T>>();
    try {
      if (!options.name.empty()) future.set_name(options.name);
      arrival = std::make_unique<TaskArrival<T>>(*state);
    } catch (...) {
      state->abandon();
      throw;
    }
    if (!scheduler.inbox->push(*arrival)) {
      state->abandon();
      throw_closed_to_tasks();
    }
    static_cast<void>(arrival.release());  // the loop's
    return future;
  }
};

}  // namespace detail

/// Starts a task on `loop` from another thread, waking the loop if it sleeps.
///
/// A thread that runs no loop waits with `get()`, also a worker that a task of that loop awaits: the
/// loop runs on meanwhile.
///
/// Parameters:
///   task     moved in; the loop owns it from now on.
///   loop     the one to run it on. If it does not run, the task starts when it does.
///   options  a name for reports; eager only on the loop's own thread.
/// Returns: the future of what the task returns. It may be read, awaited on any loop, and cancelled
///   on any thread.
/// Throws: LoopClosed if the loop is closed, InvalidStateError if the task was moved from or awaited
///   before; then the task is destroyed unstarted. A loop that is closed later fails the future with
///   LoopClosed.
/// Thread safety: any thread; on the loop's own it is `create_task`.
/// Cancellation: as a task's: the request is posted to its loop. A `get(limit)` that was late changes
///   nothing: `cancel()` it if it is not wanted any more.
/// Lifetime: the loop has to outlive the call, as of call_soon_threadsafe.
/// Complexity: two allocations beside the frame.
/// See: asyncio's function of the same name.
template <class T>
Future<T> run_coroutine_threadsafe(Task<T> task, EventLoop& loop, TaskOptions options = {}) {
  return detail::ThreadsafeSpawn::spawn(loop, task, options);
}

/// The same for a callable that returns a Task; it is kept until the coroutine has ended.
template <detail::body_of<> Body>
Future<detail::body_result_t<Body>> run_coroutine_threadsafe(Body&& body, EventLoop& loop,
                                                             TaskOptions options = {}) {
  return run_coroutine_threadsafe(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)),
                                  loop, options);
}

}  // namespace siding
