// SPDX-License-Identifier: MIT
#include <siding/wait.hpp>

#include <siding/detail/completions.hpp>
#include <siding/error.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <vector>

namespace siding::detail {

void check_something_to_wait_for(std::size_t count) {
  if (count == 0) {
    throw std::invalid_argument(
        "wait: there is no future to wait for; leave wait() out where the range is empty");
  }
}

void throw_waited_twice() {
  throw InvalidStateError(
      "this wait was awaited before, or moved from: a wait is awaited once; call wait() again");
}

MultiWait::Until until(ReturnWhen return_when) noexcept {
  switch (return_when) {
    case ReturnWhen::first_completed:
      return MultiWait::Until::first;
    case ReturnWhen::first_exception:
      return MultiWait::Until::first_error;
    case ReturnWhen::all_completed:
      break;
  }
  return MultiWait::Until::all;
}

void wait_blocking(const std::vector<AnyFuture>& futures, const WaitOptions& options) {
  const std::optional<TimePoint> until = deadline(Clock::now(), options.timeout);
  Completions completions(futures.size());
  for (std::size_t i = 0; i < futures.size(); ++i) {
    completions.watch(*FutureAccess::state(futures[i]), i);
  }
  const bool first = options.return_when == ReturnWhen::first_completed;
  const bool or_error = options.return_when == ReturnWhen::first_exception;
  completions.block(first ? 1 : futures.size(), or_error, until, "wait()");
}

}  // namespace siding::detail
