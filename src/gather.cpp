// SPDX-License-Identifier: MIT
#include <siding/gather.hpp>
#include <siding/outcome.hpp>

#include <cstddef>
#include <optional>

namespace siding::detail {

Task<void> join_children(std::vector<AnyFuture> children, OnError on_error) {
  if (children.empty()) co_return;
  MultiWait joined(children, MultiWait::Until::first_failure, MultiWait::OnCancelled::cancel_all);
  const std::optional<std::size_t> failed = co_await joined;
  if (!failed.has_value()) co_return;
  if (on_error == OnError::cancel_rest) {
    for (const AnyFuture& child : children) child.cancel();
    MultiWait ended(children, MultiWait::Until::all, MultiWait::OnCancelled::cancel_all);
    co_await ended;
    for (const AnyFuture& child : children) {
      if (child.done()) FutureAccess::state(child)->mark_read();
    }
  }
  std::rethrow_exception(children[*failed].exception());
}

Task<void> join_all(std::vector<AnyFuture> children) {
  if (children.empty()) co_return;
  MultiWait joined(std::move(children), MultiWait::Until::all, MultiWait::OnCancelled::cancel_all);
  co_await joined;
}

}  // namespace siding::detail
