// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/call_state.hpp>
#include <siding/future.hpp>
#include <siding/job.hpp>
#include <siding/limiter.hpp>

#include <memory>
#include <string_view>
#include <utility>

namespace siding {
class Executor;
}

namespace siding::detail {

/// Hands a node to an executor. Throws what the executor throws; then the node is the caller's
/// again. A node that the executor drops at once without a word is failed with BrokenPromise.
SIDING_EXPORT void enqueue_node(Executor& executor, JobNode& node);
[[noreturn]] SIDING_EXPORT void throw_limited_future();

/// Makes the future of a call and has it called. `awaited`: a task is suspended for it. `parts` are what
/// `Call` is made from.
template <class Call, class... Parts>
Future<typename Call::result_type> submit_bound(Executor& executor, FutureState::Origin origin,
                                                std::shared_ptr<Inbox> home, std::string_view name,
                                                int priority, std::unique_ptr<CallLimits> limits,
                                                bool awaited, LimiterPermit permit,
                                                Parts&&... parts) {
  using T = typename Call::result_type;
  auto* state = new CallState<T, Call>(origin, std::move(home), std::forward<Parts>(parts)...);
  Future<T> future = FutureAccess::adopt<T>(state);
  state->awaited = awaited;
  state->priority = priority;
  state->limits = std::move(limits);
  try {
    if (!name.empty() || permit) state->describe(name, std::move(permit));
    enqueue_node(executor, *state);
  } catch (...) {
    state->unsubmitted();
    throw;
  }
  return future;
}

/// `Call`: a BoundCall or LocalCall of the function and arguments.
template <class Call, class F, class... Args>
Future<call_result_t<F, Args...>> submit_call(Executor& executor, FutureState::Origin origin,
                                              std::shared_ptr<Inbox> home,
                                              const CallOptions& options, F&& fn, Args&&... args) {
  if (options.limiter != nullptr) [[unlikely]] throw_limited_future();
  return submit_bound<Call>(executor, origin, std::move(home), options.name, options.priority,
                            limits_of(options), false, {}, std::in_place, Kept<F>::pass(fn), Kept<Args>::pass(args)...);
}

}  // namespace siding::detail
