// SPDX-License-Identifier: MIT
#include <siding/check_cancelled.hpp>

#include <siding/cancellation.hpp>
#include <siding/detail/job_node.hpp>
#include <siding/error.hpp>

namespace siding {

namespace {

bool caller_is_gone() {
  // A call on a thread may be nested in one of this process's caller, so it comes first.
  if (const detail::JobNode* const call = detail::running_call; call != nullptr) {
    // relaxed: nothing but the answer is read.
    return call->phase.load(std::memory_order_relaxed) == detail::JobNode::Phase::abandoned;
  }
  if (const std::atomic<std::uint32_t>* const stop = detail::running_stop; stop != nullptr) {
    return stop->load(std::memory_order_relaxed) != 0;
  }
  throw InvalidStateError(
      "check_cancelled: this thread runs no call of an executor, so there is no caller to ask about; "
      "call it in the function that was given to to_thread() or the like, on the thread that runs it, "
      "and hand a std::stop_token to threads of your own");
}

}  // namespace

void check_cancelled() {
  if (caller_is_gone()) throw Cancelled("the caller of this function was cancelled");
}

}  // namespace siding
