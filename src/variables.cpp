// SPDX-License-Identifier: MIT
#include <siding/detail/variables.hpp>

#include <siding/context_var.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/detail/task_context.hpp>

#include <algorithm>
#include <atomic>
#include <vector>

namespace siding::detail {

struct VariableMap {
  struct Entry {
    std::uint64_t variable;
    Variables::Value value;
  };

  std::atomic<std::uint32_t> references{1};
  std::vector<Entry> entries;  // few, in no order
};

namespace {
thread_local Variables thread_variables;
}  // namespace

void Variables::retain() const noexcept {
  map_->references.fetch_add(1, std::memory_order_relaxed);
}

void Variables::release() noexcept {
  // acq_rel: the last one sees what the others did to the values.
  if (map_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete map_;
}

Variables::Value Variables::find(std::uint64_t variable) const noexcept {
  if (map_ == nullptr) return nullptr;
  for (const VariableMap::Entry& entry : map_->entries) {
    if (entry.variable == variable) return entry.value;
  }
  return nullptr;
}

void Variables::set(std::uint64_t variable, Value value) {
  // acquire: pairs with the release of who shared it last.
  if (map_ == nullptr || map_->references.load(std::memory_order_acquire) != 1) {
    auto copy = std::make_unique<VariableMap>();
    if (map_ != nullptr) copy->entries = map_->entries;
    Variables own;
    own.map_ = copy.release();
    std::swap(map_, own.map_);
  }
  auto& entries = map_->entries;
  const auto found = std::find_if(entries.begin(), entries.end(), [variable](const auto& entry) {
    return entry.variable == variable;
  });
  if (found != entries.end()) {
    found->value.swap(value);
  } else if (value != nullptr) {
    entries.push_back({variable, std::move(value)});
  }
}

Variables& current_variables() noexcept {
  Scheduler* scheduler = current_scheduler;
  if (scheduler != nullptr && scheduler->current != nullptr) return scheduler->current->variables;
  return thread_variables;
}

std::uint64_t next_variable() noexcept {
  static constinit std::atomic<std::uint64_t> count{0};
  return count.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace siding::detail
