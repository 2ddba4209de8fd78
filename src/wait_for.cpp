// SPDX-License-Identifier: MIT
#include <siding/wait_for.hpp>

#include "limit_text.hpp"

#include <fmt/format.h>

#include <vector>

namespace siding::detail {

void throw_timed_out(Limit limit) {
  throw TimeoutError(fmt::format(
      "wait_for: what was awaited has not ended within the limit of {}; allow it more, or catch "
      "TimeoutError",
      text_of(limit.value())));
}

Task<void> cancel_and_join(AnyFuture future, Limit limit) {
  // What cannot be cancelled is left alone, as where the limit passes during the await.
  const bool ending = future.cancel() || future.done();
  if (!ending) throw_timed_out(limit);
  MultiWait ended(std::vector<AnyFuture>{future}, MultiWait::Until::all,
                  MultiWait::OnCancelled::detach);
  co_await ended;
  if (future.cancelled()) throw_timed_out(limit);
}

}  // namespace siding::detail
