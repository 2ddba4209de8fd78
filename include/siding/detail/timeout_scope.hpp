// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/task_context.hpp>
#include <siding/detail/timer_heap.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <coroutine>
#include <optional>

namespace siding::detail {

/// Gives the context of the coroutine that awaits it; never suspends.
class CurrentContext {
 public:
  CurrentContext() = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    context_ = &context_of(handle);
    return false;
  }
  TaskContext& await_resume() const noexcept { return *context_; }

 private:
  TaskContext* context_ = nullptr;
};

/// When `limit` from now on has passed; none if there is no limit.
inline std::optional<TimePoint> deadline_after(const Scheduler& scheduler, Limit limit) noexcept {
  if (!limit.has_value()) return std::nullopt;
  return saturating_add(scheduler.now(), limit.value());
}

/// A stretch of a task with a deadline: when it has passed, the task is cancelled once, and whoever
/// leaves the scope is told that it was this. As asyncio's `timeout()`, from which the counting is.
class SIDING_EXPORT TimeoutScope final : public TimerNode {
 public:
  TimeoutScope(TaskContext& context, std::optional<TimePoint> deadline);
  ~TimeoutScope() { leave(); }

  /// Ends the scope; later calls do nothing. True: a Cancelled that comes out of it is this scope's
  /// doing and nobody else's, and stands for a timeout.
  bool leave() noexcept;

  /// Another deadline; none: for ever. Only before the old one has passed.
  void reschedule(std::optional<TimePoint> deadline) noexcept;
  bool expired() const noexcept { return expired_; }

  void due(Scheduler& scheduler) noexcept override;
  void run() noexcept override {}
  void refuse() noexcept override {}

 private:
  TaskContext& context_;
  const int requests_before_;
  bool expired_ = false;
  bool left_ = false;
};

}  // namespace siding::detail
