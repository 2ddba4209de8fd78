// SPDX-License-Identifier: MIT
#include <siding/detail/error_report.hpp>
#include <siding/executor.hpp>
#include <siding/log.hpp>

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <stdexcept>

namespace siding {

Executor::~Executor() = default;

Job Executor::withdraw(Job::Id) noexcept { return Job(); }

bool Executor::can_end_calls() const noexcept { return false; }

std::vector<std::string> Executor::running_calls() const { return {}; }

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

std::unique_ptr<CallLimits> make_call_limits(const CallOptions& options) {
  auto limits = std::make_unique<CallLimits>();
  if (options.run_limit.has_value()) limits->run = options.run_limit.value();
  if (options.queue_limit.has_value()) limits->queue = options.queue_limit.value();
  limits->retries = options.retries;
  return limits;
}

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
  if (node.limits != nullptr && !executor.can_end_calls()) [[unlikely]] {
    throw std::invalid_argument(
        "run_limit, queue_limit and retries need an executor that can end a call, which this one cannot: "
        "use a ProcessPool (to_process); or put timeout() around an await with OnCancel::abandon, which "
        "leaves the function running");
  }
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

void throw_limited_future() {
  throw std::invalid_argument(
      "CallOptions::limiter is for calls that are awaited, to_thread(), to_process() and offload(): "
      "a future would have been submitted already");
}

void check_map_options(const MapOptions& options) {
  // What was negative has become very large.
  if (options.chunk < 1 || options.chunk > std::numeric_limits<std::size_t>::max() / 2) {
    throw std::invalid_argument(
        "MapOptions::chunk must be at least 1: it is how many inputs go to a worker as one call");
  }
}

void throw_map_late() {
  throw TimeoutError(
      "no more results came within the limit of map(); the calls go on until the range is "
      "destroyed");
}

void throw_map_taken() {
  throw InvalidStateError(
      "this result of map() was taken before: read each step once, and keep the value");
}

void throw_inputs_not_kept() {
  throw std::invalid_argument(
      "map() with a buffer reads its inputs later, and this kind of range cannot be kept: pass a "
      "named range that outlives the results, or a view");
}

void check_chunk(std::size_t results, std::size_t expected) {
  if (results == expected) return;
  throw SerializationError(fmt::format(
      "a chunk of map() came back with {} results instead of {}", results, expected));
}

}  // namespace detail
}  // namespace siding
