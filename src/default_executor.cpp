// SPDX-License-Identifier: MIT
#include <siding/detail/offload_awaiter.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/thread_pool.hpp>

#include "loop.hpp"

#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

// The loop's default executor: made, used and ended here, so that the loop knows no pool.

namespace siding {

namespace {

/// Runs one job on a thread of its own: for the one call that must not run on the pool it ends.
class OneShotThread final : public Executor {
 public:
  ~OneShotThread() override { OneShotThread::stop({}); }
  void enqueue(Job job) override {
    thread_ = std::thread([job = std::move(job)]() mutable { job.run(); });
  }
  bool stop(const ShutdownOptions&) override {
    if (thread_.joinable()) thread_.join();
    return true;
  }

 private:
  std::thread thread_;
};

bool end_executor(Executor* executor, Limit limit) {
  return executor->shutdown({.timeout = limit});
}

/// Keeps an executor for good whose threads did not end in time: they use it.
void keep_for_good(std::shared_ptr<Executor> executor) {
  static std::mutex mutex;
  static auto* kept = new std::vector<std::shared_ptr<Executor>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(executor));
}

}  // namespace

Task<bool> EventLoop::shutdown_default_executor(Limit limit) {
  loop_->default_executor_ended = true;
  // It stays where it is until it has ended: a second shutdown meanwhile waits for it as well.
  const std::shared_ptr<Executor> executor = loop_->default_executor;
  if (executor == nullptr) co_return true;
  OneShotThread thread;
  bool ended = false;
  try {
    ended = co_await offload(thread, end_executor, executor.get(), limit);
  } catch (const std::system_error&) {
    ended = end_executor(executor.get(), limit);  // no thread can be had: then here
  }
  if (ended) {
    loop_->default_executor.reset();
  } else {
    keep_for_good(executor);
  }
  co_return ended;
}

namespace detail {

void Loop::leave_default_executor() noexcept {
  if (default_executor == nullptr) return;
  try {
    keep_for_good(default_executor);
    default_executor->shutdown({.wait = false});
  } catch (...) {
    // No memory to keep it, or a user's executor that does not want to end: then it is leaked so.
    static_cast<void>(new (std::nothrow) std::shared_ptr<Executor>(default_executor));
  }
  default_executor.reset();
}

Executor& default_executor(Scheduler& scheduler) {
  Loop& loop = static_cast<Loop&>(scheduler);
  if (loop.default_executor_ended) {
    throw ShutdownError(
        "the default executor of this loop was shut down; name another executor in the call");
  }
  if (loop.default_executor == nullptr) loop.default_executor = std::make_shared<ThreadPool>();
  return *loop.default_executor;
}

Executor& named_executor(ExecutorRef executor, Scheduler& scheduler) {
  return executor.get() != nullptr ? *executor.get() : default_executor(scheduler);
}

}  // namespace detail
}  // namespace siding
