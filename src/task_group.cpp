// SPDX-License-Identifier: MIT
#include <siding/task_group.hpp>

#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>

#include <new>
#include <utility>

namespace siding {

namespace detail {

void GroupMember::link(GroupMember*& list) noexcept {
  next_ = list;
  link_ = &list;
  if (next_ != nullptr) next_->link_ = &next_;
  list = this;
}

void GroupMember::unlink() noexcept {
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
}

void GroupMember::watch(TaskContext& task) noexcept {
  task_ = &task;
  link(group_->members_);
}

bool GroupMember::ended(FutureState::Outcome outcome, const std::exception_ptr& error) noexcept {
  return group_ != nullptr && group_->child_ended(*this, outcome, error);
}

void GroupMember::Rest::completed() const noexcept {
  if (group != nullptr) group->wake_if_empty();
}

void GroupMember::abandoned() noexcept {
  if (std::exchange(group_, nullptr) != nullptr) unlink();
}

GroupJoin::~GroupJoin() {
  // Only a frame that is destroyed with its loop is in the queue, or waits, still.
  if (group_.join_ == this) group_.join_ = nullptr;
  while (queued_) context_->scheduler().refuse_arrivals();
}

bool GroupJoin::start() noexcept {
  if (!group_.has_children()) return false;
  group_.join_ = this;
  context_->wait_for(*this);
  return true;
}

// The task goes on in the next iteration.
void GroupJoin::wake() noexcept {
  group_.join_ = nullptr;
  queued_ = true;
  context_->scheduler().ready.push(*this);
}

void GroupJoin::run() noexcept {
  queued_ = false;
  resume();
}

void GroupJoin::describe(FixedText& text) const noexcept {
  std::size_t children = 0;
  for (const GroupMember* list : {group_.members_, group_.told_}) {
    for (; list != nullptr; list = list->next_) ++children;
  }
  text.add("the ").add(children).add(children == 1 ? " task" : " tasks").add(" of its TaskGroup");
}

bool GroupJoin::cancel() noexcept {
  if (queued_) return false;  // it is over already
  cancelled_ = true;
  wake();
  return true;
}

}  // namespace detail

TaskGroup::TaskGroup(detail::TaskContext& context) noexcept
    : context_(context), requests_before_(context.cancel_requests()) {}

TaskGroup::~TaskGroup() {
  // Children are left only if the loop is closed, and ends them in an order of its own.
  for (detail::GroupMember* list : {members_, told_}) {
    for (; list != nullptr; list = list->next_) list->group_ = nullptr;
  }
}

void TaskGroup::check_open() const {
  if (aborting_) {
    throw InvalidStateError(
        "TaskGroup: no task can be added any more: the group is ending because one of its tasks "
        "failed, or because it was cancelled");
  }
  if (state_ == State::finished || (state_ == State::joining && !has_children())) {
    throw InvalidStateError("TaskGroup: no task can be added any more: the group has ended");
  }
}

// Of the loop's thread, where no exception can go.
bool TaskGroup::child_ended(detail::GroupMember& member, detail::FutureState::Outcome outcome,
                            const std::exception_ptr& error) noexcept {
  member.unlink();
  bool taken = false;
  if (outcome == detail::FutureState::Outcome::error) {
    taken = take_error(error);
    cancel_children();
    cancel_body("a task of its group failed");
  }
  return taken;
}

void TaskGroup::wake_if_empty() noexcept {
  if (join_ != nullptr && !has_children()) join_->wake();
}

// False: there is no memory; it is reported as one that nobody reads.
bool TaskGroup::take_error(const std::exception_ptr& error) noexcept {
  try {
    errors_.push_back(error);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void TaskGroup::cancel_children() noexcept {
  if (std::exchange(aborting_, true)) return;
  // Cancelling one may end others.
  while (members_ != nullptr) {
    detail::GroupMember& member = *members_;
    member.unlink();
    member.link(told_);
    member.task_->request_cancel("its task group is ending");
  }
}

// Once: the request is taken back when the body has ended.
void TaskGroup::cancel_body(std::string_view reason) noexcept {
  if (state_ != State::body_runs || std::exchange(body_asked_, true)) return;
  context_.request_cancel(reason);
}

void TaskGroup::cancel() {
  if (state_ == State::finished) return;
  cancel_children();
  cancel_body("its task group was cancelled");
}

void TaskGroup::body_ended(std::exception_ptr failure) noexcept {
  state_ = State::joining;
  const bool cancelled = detail::is_cancelled(failure);
  if (cancelled) outside_ = failure;
  // Another request than ours is left: somebody else wants the task to end.
  if (body_asked_ && context_.uncancel() <= requests_before_) outside_ = nullptr;
  if (failure == nullptr) return;
  if (!cancelled && !take_error(failure)) {
    detail::report_error(context_.scheduler().inbox, "a task group had no memory for an error",
                         std::move(failure), {});
  }
  cancel_children();
}

void TaskGroup::cancelled_in_join(std::exception_ptr cancelled) noexcept {
  outside_ = std::move(cancelled);
  cancel_children();
}

void TaskGroup::finish(bool has_value) {
  state_ = State::finished;
  if (!errors_.empty()) {
    // The errors win; the request from outside is thrown at the next suspension point.
    if (outside_ != nullptr) {
      const std::string reason = context_.cancel_reason();
      context_.uncancel();
      context_.request_cancel(reason);
    }
    throw ExceptionGroup(std::move(errors_), "a task group failed");
  }
  if (outside_ != nullptr) std::rethrow_exception(std::exchange(outside_, nullptr));
  if (!has_value) {
    throw InvalidStateError(
        "with_task_group: the group was cancelled before its body returned a value");
  }
}

}  // namespace siding
