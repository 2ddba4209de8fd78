// SPDX-License-Identifier: MIT
#include <siding/detail/job_node.hpp>

#include <thread>

namespace siding::detail {

constinit thread_local CallEnd last_call_end = CallEnd::not_called;
constinit thread_local const JobNode* running_call = nullptr;
constinit thread_local const std::atomic<std::uint32_t>* running_stop = nullptr;
constinit thread_local BlockedHelp* blocked_help = nullptr;

const char* state_text(const JobNode& node) noexcept {
  switch (node.phase.load(std::memory_order_acquire)) {
    case JobNode::Phase::queued: return "queued";
    case JobNode::Phase::running: return "running";
    case JobNode::Phase::encoding: return "being sent to a worker";
    case JobNode::Phase::away:
    case JobNode::Phase::pinned: return "in a worker process";
    case JobNode::Phase::cancelled:
    case JobNode::Phase::abandoned: return "cancelled";
    case JobNode::Phase::finished: return "done";
  }
  return "unknown";
}

bool JobNode::pin() noexcept {
  for (;;) {
    const Phase now = phase.load(std::memory_order_acquire);
    if (now == Phase::away) {
      if (move_phase(Phase::away, Phase::pinned)) return true;
    } else if (now == Phase::encoding || now == Phase::pinned) {
      std::this_thread::yield();  // another thread is about to leave this phase
    } else {
      return false;
    }
  }
}

}  // namespace siding::detail
