// SPDX-License-Identifier: MIT
#pragma once

#include <siding/job.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <new>
#include <utility>

namespace siding::detail {

/// Queued jobs in the order in which they shall start: those of higher priority first, and of equal ones
/// the first that came. Most calls have priority 0: for these it is a JobQueue, and one look more.
///
/// Thread safety: none of its own; guard it with the executor's lock.
class JobLevels {
 public:
  /// Throws std::bad_alloc; then the job is still the caller's.
  void push(Job&& job) {
    const int priority = job.priority();
    if (priority == 0) [[likely]] return ordinary_.push(std::move(job));
    others_[priority].push(std::move(job));
    ++other_size_;
  }
  /// In front of all of its priority. Where memory is short, of all of priority 0.
  void push_front(Job job) noexcept {
    const int priority = job.priority();
    if (priority != 0) {
      try {
        others_[priority].push_front(std::move(job));
        ++other_size_;
        return;
      } catch (const std::bad_alloc&) {
      }
    }
    ordinary_.push_front(std::move(job));
  }
  /// The job that shall start next; empty if there is none.
  Job pop() noexcept {
    if (other_size_ == 0) [[likely]] return ordinary_.pop();
    const auto first = others_.begin();
    if (first->first < 0 && !ordinary_.empty()) return ordinary_.pop();
    Job job = first->second.pop();
    shrink(first);
    return job;
  }
  /// Takes a job out of the middle; empty if it is not here. As JobQueue::remove.
  Job remove(Job::Id id) noexcept {
    Job job = ordinary_.remove(id);
    if (job || other_size_ == 0) return job;
    const auto level = others_.find(static_cast<const JobNode*>(id)->priority);
    if (level == others_.end()) return Job();
    job = level->second.remove(id);
    if (job) shrink(level);
    return job;
  }
  bool empty() const noexcept { return ordinary_.empty() && other_size_ == 0; }
  std::size_t size() const noexcept { return ordinary_.size() + other_size_; }

 private:
  using Levels = std::map<int, JobQueue, std::greater<>>;

  // After one of a level was taken: a level that is empty goes.
  void shrink(Levels::iterator level) noexcept {
    --other_size_;
    if (level->second.empty()) others_.erase(level);
  }

  JobQueue ordinary_;  // of priority 0
  Levels others_;      // the highest first; none of them is empty
  std::size_t other_size_ = 0;
};

}  // namespace siding::detail
