// SPDX-License-Identifier: MIT
#include <siding/detail/offload_awaiter.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/process_pool.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/thread_pool.hpp>

#include "loop.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
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

/// Keeps an executor for good whose threads did not end in time: they use it.
void keep_for_good(std::shared_ptr<Executor> executor) {
  static std::mutex mutex;
  static auto* kept = new std::vector<std::shared_ptr<Executor>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(executor));
}

/// The end of a loop's default pools. However the coroutine around it ends, its destructor does not
/// wait for calls that did not end in time, as that of a pool would.
struct Ending {
  explicit Ending(const detail::Loop& loop)
      : pools{loop.default_executor, loop.default_process_pool} {}
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() {
    for (std::shared_ptr<Executor>& pool : pools) {
      if (pool != nullptr) leave(pool);
    }
  }

  static void leave(std::shared_ptr<Executor>& pool) noexcept {
    try {
      keep_for_good(pool);
    } catch (const std::bad_alloc&) {
      static_cast<void>(new (std::nothrow) std::shared_ptr<Executor>(pool));  // leaked, then
    }
    try {
      pool->shutdown({.wait = false});
    } catch (...) {
      // A user's executor that does not want to end.
    }
  }

  bool ended() const noexcept { return pools[0] == nullptr && pools[1] == nullptr; }

  std::array<std::shared_ptr<Executor>, 2> pools;  // null when ended
  bool called = false;
};

void end_pools(Ending* ending, Limit limit) {
  ending->called = true;
  const TimePoint begin = Clock::now();
  for (std::shared_ptr<Executor>& pool : ending->pools) {
    if (pool == nullptr) continue;
    Limit rest;
    if (limit.has_value()) {
      rest = std::max(limit.value() - (Clock::now() - begin), std::chrono::nanoseconds(0));
    }
    if (pool->shutdown({.timeout = rest})) pool.reset();
  }
}

}  // namespace

Task<bool> EventLoop::shutdown_default_executor(Limit limit) {
  loop_->default_executor_ended = true;
  // They stay where they are until they have ended: a second shutdown meanwhile waits as well.
  Ending ending(*loop_);
  if (ending.ended()) co_return true;
  std::exception_ptr cancelled;
  // Again if it was cancelled before the thread had come to the call.
  while (!ending.called) {
    OneShotThread thread;
    try {
      co_await offload(thread, end_pools, &ending, limit);
    } catch (const Cancelled&) {
      cancelled = std::current_exception();
    } catch (const std::system_error&) {
      end_pools(&ending, limit);  // no thread can be had: then here
    }
  }
  if (ending.pools[0] == nullptr) loop_->default_executor.reset();
  if (ending.pools[1] == nullptr) loop_->default_process_pool.reset();
  if (cancelled) std::rethrow_exception(cancelled);
  co_return ending.ended();
}

namespace detail {

void Loop::leave_default_executor() noexcept {
  const Ending without_waiting(*this);
  default_executor.reset();
  default_process_pool.reset();
}

Executor& default_executor(Scheduler& scheduler, DefaultPool pool) {
  Loop& loop = static_cast<Loop&>(scheduler);
  if (loop.default_executor_ended) {
    throw ShutdownError(
        "the default executor of this loop was shut down; name another executor in the call");
  }
  if (pool == DefaultPool::processes) {
    if (loop.default_process_pool == nullptr) {
      loop.default_process_pool = std::make_shared<ProcessPool>();
    }
    return *loop.default_process_pool;
  }
  if (loop.default_executor == nullptr) loop.default_executor = std::make_shared<ThreadPool>();
  return *loop.default_executor;
}

Executor& named_executor(ExecutorRef executor, Scheduler& scheduler) {
  return executor.get() != nullptr ? *executor.get() : default_executor(scheduler);
}

}  // namespace detail
}  // namespace siding
