// SPDX-License-Identifier: MIT
#include <siding/wait_for.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <string>

namespace siding::detail {

namespace {

// In the unit that suits, with six digits at most: a limit that was a floating-point number is not
// exact to the nanosecond.
std::string text_of(std::chrono::nanoseconds length) {
  const auto count = static_cast<double>(length.count());
  const double size = std::abs(count);
  if (size >= 1e9 || size == 0) return fmt::format("{:.6g} s", count / 1e9);
  if (size >= 1e6) return fmt::format("{:.6g} ms", count / 1e6);
  if (size >= 1e3) return fmt::format("{:.6g} us", count / 1e3);
  return fmt::format("{:.6g} ns", count);
}

}  // namespace

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
