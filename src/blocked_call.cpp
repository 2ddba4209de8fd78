// SPDX-License-Identifier: MIT
#include "blocked_call.hpp"

#include <siding/error.hpp>

#include <fmt/format.h>

#include <mutex>
#include <string>

namespace siding::detail {

namespace {

std::mutex blocked_mutex;
BlockedCall* first_blocked = nullptr;

std::string call_text(const JobNode& call) {
  const std::string_view name = call.call_name();
  return name.empty() ? "a call without a name" : fmt::format("call '{}'", name);
}

}  // namespace

const BlockedCall* BlockedCall::find(const JobNode* running) noexcept {
  const BlockedCall* blocked = first_blocked;
  while (blocked != nullptr && blocked->running_ != running) blocked = blocked->next_;
  return blocked;
}

BlockedCall::BlockedCall(const JobNode* running, const JobNode* awaited)
    : running_(awaited != nullptr ? running : nullptr), awaited_(awaited) {
  if (running_ == nullptr) return;
  const std::lock_guard lock(blocked_mutex);
  std::string circle = call_text(*running_);
  for (const JobNode* call = awaited_; call != nullptr;) {
    circle += " waits for " + call_text(*call);
    if (call == running_) {
      throw InvalidStateError(fmt::format(
          "get(): {}: none of them would ever end. Have one return instead of waiting, or await both "
          "in a task",
          circle));
    }
    const BlockedCall* blocked = find(call);
    call = blocked != nullptr ? blocked->awaited_ : nullptr;
  }
  next_ = first_blocked;
  first_blocked = this;
}

BlockedCall::~BlockedCall() {
  if (running_ == nullptr) return;
  const std::lock_guard lock(blocked_mutex);
  BlockedCall** link = &first_blocked;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
}

}  // namespace siding::detail
