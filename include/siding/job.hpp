// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/job_node.hpp>
#include <siding/export.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

namespace siding {

namespace detail {
struct JobAccess;
}

/// One call that an executor has taken over: an owning handle of eight bytes, for authors of
/// executors.
///
/// Each job is run, failed or cancelled exactly once, and not touched afterwards. A job that is
/// destroyed unsettled fails its caller with BrokenPromise, so nobody waits for ever.
/// Thread safety: distinct objects: safe. Shared objects: unsafe.
class SIDING_EXPORT Job {
 public:
  using Id = const void*;

  Job() noexcept = default;
  Job(Job&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  Job& operator=(Job&& other) noexcept {
    Job old(std::move(*this));
    node_ = std::exchange(other.node_, nullptr);
    return *this;
  }
  ~Job() {
    if (node_ != nullptr) drop_unsettled();
  }

  /// False if empty: moved from, or settled.
  explicit operator bool() const noexcept { return node_ != nullptr; }

  /// Calls the function on this thread and settles, or only settles if it was cancelled meanwhile.
  void run() noexcept {
    detail::JobNode& node = *std::exchange(node_, nullptr);
    const detail::VariablesScope variables(std::move(node.variables));
    node.execute();
  }
  /// Settles with an error instead of calling.
  void fail(std::exception_ptr error) noexcept {
    std::exchange(node_, nullptr)->fail(std::move(error));
  }
  /// Settles as cancelled instead of calling.
  void cancel() noexcept { std::exchange(node_, nullptr)->drop(); }

  /// Tells jobs apart while they are queued.
  Id id() const noexcept { return node_; }
  /// The name given to the call; may be empty. Valid while the job is.
  std::string_view name() const noexcept { return node_->call_name(); }
  /// As given to the call: what is higher shall start first, what is equal in its order. 0 for most.
  int priority() const noexcept { return node_->priority; }
  /// Whether a task is suspended until it is settled, so that a full queue need not refuse it: its
  /// caller submits nothing else meanwhile.
  bool awaited() const noexcept { return node_->awaited; }

 private:
  friend class JobQueue;
  friend struct detail::JobAccess;
  explicit Job(detail::JobNode* node) noexcept : node_(node) {}
  void drop_unsettled() noexcept;

  detail::JobNode* node_ = nullptr;
};

/// A queue of jobs for authors of executors: first in, first out, intrusive, never allocates.
///
/// Destroying it fails what it holds with BrokenPromise.
/// Thread safety: none of its own; guard it with the executor's lock.
class SIDING_EXPORT JobQueue {
 public:
  JobQueue() = default;
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  ~JobQueue();

  void push(Job job) noexcept {
    detail::JobNode* node = std::exchange(job.node_, nullptr);
    node->next = nullptr;
    node->previous = last_;
    node->queue.store(this, std::memory_order_relaxed);
    (last_ != nullptr ? last_->next : first_) = node;
    last_ = node;
    ++size_;
  }
  /// Puts a job in front of all others.
  void push_front(Job job) noexcept {
    detail::JobNode* node = std::exchange(job.node_, nullptr);
    node->next = first_;
    node->previous = nullptr;
    node->queue.store(this, std::memory_order_relaxed);
    (first_ != nullptr ? static_cast<detail::JobNode*>(first_)->previous : last_) = node;
    first_ = node;
    ++size_;
  }
  /// The oldest job; empty if there is none.
  Job pop() noexcept {
    detail::JobNode* node = static_cast<detail::JobNode*>(first_);
    if (node != nullptr) unlink(*node);
    return Job(node);
  }
  /// Takes a job out of the middle; empty if it is not here. The id must be of a job whose caller
  /// still waits.
  Job remove(Job::Id id) noexcept {
    auto* node = static_cast<detail::JobNode*>(const_cast<void*>(id));
    // Only under the lock of this queue does it become this queue, or cease to be.
    if (node->queue.load(std::memory_order_relaxed) != this) return Job();
    unlink(*node);
    return Job(node);
  }
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

 private:
  void unlink(detail::JobNode& node) noexcept {
    auto* following = static_cast<detail::JobNode*>(node.next);
    (node.previous != nullptr ? node.previous->next : first_) = following;
    (following != nullptr ? following->previous : last_) = node.previous;
    node.queue.store(nullptr, std::memory_order_relaxed);
    --size_;
  }

  detail::Node* first_ = nullptr;
  detail::JobNode* last_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

/// Makes handles for the library.
struct JobAccess {
  static Job make(JobNode& node) noexcept { return Job(&node); }
  static JobNode& node(const Job& job) noexcept { return *job.node_; }
  static JobNode& release(Job job) noexcept { return *std::exchange(job.node_, nullptr); }
};

}  // namespace detail
}  // namespace siding
