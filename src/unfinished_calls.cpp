// SPDX-License-Identifier: MIT
#include "loop.hpp"

#include <siding/detail/job_node.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/executor.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a run names that ends although calls have not returned.

namespace siding::detail {

std::vector<std::string> Loop::unfinished_calls() const {
  std::vector<std::string> names;
  for (const TaskContext* list : {asked, tasks}) {
    for (const TaskContext* task = list; task != nullptr; task = task->next_task) {
      const JobNode* const call = task->awaited_call();
      // acquire: pairs with the release of the worker that has finished it.
      if (call == nullptr || call->phase.load(std::memory_order_acquire) == JobNode::Phase::finished) {
        continue;
      }
      const std::string_view name = call->call_name();
      names.push_back(name.empty() ? call->portable().describe() : std::string(name));
    }
  }
  for (const auto& pool : {default_executor, default_process_pool}) {
    if (pool == nullptr) continue;
    try {
      for (std::string& name : pool->running_calls()) names.push_back(std::move(name));
    } catch (...) {
      // A user's executor: then its calls stay without names.
    }
  }
  // A task may wait for what a pool runs.
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace siding::detail
