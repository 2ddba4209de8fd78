// SPDX-License-Identifier: MIT
#include <siding/detail/error_report.hpp>
#include <siding/executor.hpp>
#include <siding/log.hpp>

#include <fmt/format.h>

namespace siding {

Executor::~Executor() = default;

Job Executor::withdraw(Job::Id) noexcept { return Job(); }

JobQueue::~JobQueue() {
  while (Job job = pop()) {
  }
}

namespace {

std::exception_ptr broken_promise() {
  return std::make_exception_ptr(BrokenPromise(
      "the executor dropped the call without running or failing it; its author has to run, fail or "
      "cancel() each Job"));
}

}  // namespace

void Job::drop_unsettled() noexcept {
  if (detail::SubmitScope::note_drop(*node_)) return;
  std::exchange(node_, nullptr)->fail(broken_promise());
}

namespace detail {

constinit thread_local SubmitScope* submit_scope = nullptr;

bool SubmitScope::note_drop(const JobNode& node) noexcept {
  for (SubmitScope* scope = submit_scope; scope != nullptr; scope = scope->outer_) {
    if (scope->node_ == &node) {
      scope->dropped_ = true;
      return true;
    }
  }
  return false;
}

void enqueue_node(Executor& executor, JobNode& node) {
  const SubmitScope scope(node);
  node.variables = current_variables();
  try {
    executor.enqueue(JobAccess::make(node));
  } catch (...) {
    if (scope.dropped()) throw;  // not taken: the caller is told by this
    // It was taken: the executor still has it, or has run it. Only its author can mend that.
    log_error("an executor's enqueue() threw although it had taken the job",
              std::current_exception(), {});
  }
  if (scope.dropped()) node.fail(broken_promise());
}

}  // namespace detail
}  // namespace siding
