// SPDX-License-Identifier: MIT
#include <siding/detail/offload_awaiter.hpp>
#include <siding/error.hpp>
#include <siding/event_loop.hpp>
#include <siding/offload.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/thread_pool.hpp>

#include "loop.hpp"

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

/// The end of a default executor. However the coroutine around it ends, its destructor does not
/// wait for threads that did not end in time, as that of a pool would.
struct Ending {
  explicit Ending(std::shared_ptr<Executor> given) : executor(std::move(given)) {}
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() {
    if (ended) return;
    try {
      keep_for_good(executor);
      executor->shutdown({.wait = false});
    } catch (...) {
      // No memory to keep it, or a user's executor that does not want to end: then it is leaked so.
      static_cast<void>(new (std::nothrow) std::shared_ptr<Executor>(executor));
    }
  }

  std::shared_ptr<Executor> executor;
  bool called = false;
  bool ended = false;
};

void end_executor(Ending* ending, Limit limit) {
  ending->called = true;
  ending->ended = ending->executor->shutdown({.timeout = limit});
}

}  // namespace

Task<bool> EventLoop::shutdown_default_executor(Limit limit) {
  loop_->default_executor_ended = true;
  if (loop_->default_executor == nullptr) co_return true;
  // It stays where it is until it has ended: a second shutdown meanwhile waits for it as well.
  Ending ending(loop_->default_executor);
  std::exception_ptr cancelled;
  // Again if it was cancelled before the thread had come to the call.
  while (!ending.called) {
    OneShotThread thread;
    try {
      co_await offload(thread, end_executor, &ending, limit);
    } catch (const Cancelled&) {
      cancelled = std::current_exception();
    } catch (const std::system_error&) {
      end_executor(&ending, limit);  // no thread can be had: then here
    }
  }
  if (ending.ended) loop_->default_executor.reset();
  if (cancelled) std::rethrow_exception(cancelled);
  co_return ending.ended;
}

namespace detail {

void Loop::leave_default_executor() noexcept {
  if (default_executor != nullptr) const Ending without_waiting(std::move(default_executor));
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
