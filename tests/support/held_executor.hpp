// SPDX-License-Identifier: MIT
#pragma once

#include <siding/executor.hpp>
#include <siding/job.hpp>

#include <cstddef>
#include <mutex>

namespace siding_test {

/// Whether an executor implements `withdraw`.
enum class Withdraws : bool { no, yes };

/// Keeps its jobs until the test takes them: what is queued here stays queued.
class HeldExecutor final : public siding::Executor {
 public:
  explicit HeldExecutor(Withdraws withdraws = Withdraws::yes) : withdraws_(withdraws) {}

  void enqueue(siding::Job job) override {
    const std::lock_guard lock(mutex_);
    jobs_.push(std::move(job));
    ++held_;
  }
  siding::Job withdraw(siding::Job::Id id) noexcept override {
    if (withdraws_ == Withdraws::no) return {};
    const std::lock_guard lock(mutex_);
    siding::Job job = jobs_.remove(id);
    if (job) --held_;
    return job;
  }
  bool stop(const siding::ShutdownOptions&) override { return true; }

  /// The oldest job; empty if there is none.
  siding::Job take() {
    const std::lock_guard lock(mutex_);
    siding::Job job = jobs_.pop();
    if (job) --held_;
    return job;
  }
  std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  mutable std::mutex mutex_;
  siding::JobQueue jobs_;
  std::size_t held_ = 0;
  const Withdraws withdraws_;
};

}  // namespace siding_test
