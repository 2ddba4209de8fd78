// SPDX-License-Identifier: MIT
#pragma once

#include <siding/error.hpp>
#include <siding/executor.hpp>
#include <siding/job.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

// Executors as a user would write them: what the contract asks of the library's pools has to hold
// for these too.

namespace siding_test {

/// The smallest executor: runs each call in submit().
class InlineExecutor final : public siding::Executor {
 public:
  void enqueue(siding::Job job) override { job.run(); }
  bool stop(const siding::ShutdownOptions&) override { return true; }
};

/// One thread with a standard container as its queue. It cannot give a job back.
class OneThread final : public siding::Executor {
 public:
  OneThread() : thread_([this] { work(); }) {}
  ~OneThread() override {
    OneThread::stop({});
    thread_.join();
  }

  void enqueue(siding::Job job) override {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw siding::ShutdownError("the thread was shut down and takes no more work");
    jobs_.push_back(std::move(job));
    changed_.notify_all();
  }

  bool stop(const siding::ShutdownOptions& how) override {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    std::deque<siding::Job> cancelled;
    if (how.cancel_pending) cancelled.swap(jobs_);
    lock.unlock();
    for (siding::Job& job : cancelled)
      job.cancel();
    if (!how.wait) return true;
    lock.lock();
    const std::chrono::nanoseconds day = std::chrono::hours(24);
    const auto limit = how.timeout.has_value() ? std::min(how.timeout.value(), day) : day;
    return changed_.wait_for(lock, limit, [this] { return ended_; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) break;
      siding::Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job.run();
      lock.lock();
    }
    ended_ = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<siding::Job> jobs_;  // this and the flags are guarded by mutex_
  bool stopping_ = false;
  bool ended_ = false;
  std::thread thread_;  // last: it uses the others
};

/// A few threads from the start, with a JobQueue, that can give a job back.
class FewThreads final : public siding::Executor {
 public:
  explicit FewThreads(int workers) : alive_(workers) {
    for (int i = 0; i < workers; ++i)
      threads_.emplace_back([this] { work(); });
  }
  ~FewThreads() override {
    FewThreads::stop({});
    for (std::thread& thread : threads_)
      thread.join();
  }

  void enqueue(siding::Job job) override {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw siding::ShutdownError("the threads were shut down and take no more work");
    jobs_.push(std::move(job));
    changed_.notify_all();
  }

  siding::Job withdraw(siding::Job::Id job) noexcept override {
    const std::lock_guard lock(mutex_);
    return jobs_.remove(job);
  }

  bool stop(const siding::ShutdownOptions& how) override {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    while (how.cancel_pending && !jobs_.empty()) {
      siding::Job job = jobs_.pop();
      lock.unlock();
      job.cancel();
      lock.lock();
    }
    if (!how.wait) return true;
    const std::chrono::nanoseconds day = std::chrono::hours(24);
    const auto limit = how.timeout.has_value() ? std::min(how.timeout.value(), day) : day;
    return changed_.wait_for(lock, limit, [this] { return alive_ == 0; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      siding::Job job = jobs_.pop();
      if (!job) break;
      lock.unlock();
      job.run();
      lock.lock();
    }
    --alive_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  siding::JobQueue jobs_;  // this and what follows is guarded by mutex_
  bool stopping_ = false;
  int alive_;
  std::vector<std::thread> threads_;
};

}  // namespace siding_test
