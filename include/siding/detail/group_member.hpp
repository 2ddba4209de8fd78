// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_state.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/export.hpp>

#include <exception>

namespace siding {
class TaskGroup;
}

namespace siding::detail {

class GroupJoin;

/// A child as its task group knows it; part of the child's state. Loop thread only.
class SIDING_EXPORT GroupMember {
 public:
  explicit GroupMember(TaskGroup& group) noexcept : group_(&group) {}
  GroupMember(const GroupMember&) = delete;
  GroupMember& operator=(const GroupMember&) = delete;

  // As the observer of a TaskState.
  struct Rest {
    TaskGroup* group;
    /// After the callbacks of its futures were posted, so that these find the group still there.
    SIDING_EXPORT void completed() const noexcept;
  };
  Rest rest() const noexcept { return {group_}; }
  void watch(TaskContext& task) noexcept;
  bool ended(FutureState::Outcome outcome, const std::exception_ptr& error) noexcept;
  /// The loop is closed under it.
  void abandoned() noexcept;

 private:
  friend TaskGroup;
  friend GroupJoin;

  void link(GroupMember*& list) noexcept;
  void unlink() noexcept;

  TaskGroup* group_;  // null: the group is gone, with its loop
  TaskContext* task_ = nullptr;
  GroupMember* next_ = nullptr;
  GroupMember** link_ = nullptr;
};

}  // namespace siding::detail
