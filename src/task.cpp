// SPDX-License-Identifier: MIT
#include <siding/detail/future_state.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/error.hpp>
#include <siding/task.hpp>

#include <fmt/format.h>

namespace siding::detail {

constinit thread_local Scheduler* current_scheduler = nullptr;

Scheduler& require_scheduler(std::string_view what) {
  if (current_scheduler == nullptr) {
    throw NoRunningLoop(fmt::format(
        "{} needs a running loop: call it in a coroutine given to siding::run()", what));
  }
  return *current_scheduler;
}

void TaskContext::request_cancel(std::string_view reason) {
  future_state().set_cancel_reason(reason);
  ++cancel_requests_;
  if (suspension_ != nullptr && suspension_->cancel()) return;
  must_cancel_ = true;
}

void TaskContext::ask_to_end() {
  delist();
  enlist_in(scheduler_.asked);
  request_cancel("the loop is ending");
}

std::string TaskContext::cancel_reason() { return future_state().cancel_reason(); }

void TaskContext::throw_cancelled() {
  absorb_cancel();
  throw Cancelled(cancel_reason());
}

void throw_awaited_twice() {
  throw InvalidStateError(
      "this task was awaited before, or moved from: await a task once, or share it through the "
      "future of create_task()");
}

}  // namespace siding::detail
