// SPDX-License-Identifier: MIT
#include <siding/race.hpp>

#include <siding/detail/multi_wait.hpp>
#include <siding/exception_group.hpp>

#include <optional>
#include <stdexcept>

namespace siding::detail {

Task<RaceEnd> first_value(std::vector<AnyFuture> children) {
  MultiWait raced(children, MultiWait::Until::first_value, MultiWait::OnCancelled::cancel_all);
  const std::optional<std::size_t> winner = co_await raced;
  if (winner.has_value()) {
    for (const AnyFuture& child : children) child.cancel();
    MultiWait ended(children, MultiWait::Until::all, MultiWait::OnCancelled::cancel_all);
    co_await ended;
  }
  std::vector<std::exception_ptr> errors;
  errors.reserve(children.size());
  for (const AnyFuture& child : children) errors.push_back(child.exception());
  if (!winner.has_value()) throw ExceptionGroup(std::move(errors), "all of a race failed");
  RaceEnd end{*winner, std::move(errors)};
  co_return end;
}

void throw_race_of_nothing() {
  throw std::invalid_argument("race: there is nothing to await: give it at least one awaitable");
}

}  // namespace siding::detail
