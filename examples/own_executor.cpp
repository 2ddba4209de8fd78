// SPDX-License-Identifier: MIT
// Shows: an executor of your own, here one thread with a queue. It works wherever a pool does.
//        docs/how_to/write_an_executor.md goes through it.
// Run:   build/examples/own_executor
// Prints:
//   run_in_executor gave 42
//   offload gave 43

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

class OneThread final : public siding::Executor {
 public:
  ~OneThread() override {
    OneThread::stop({});
    thread_.join();
  }

  void enqueue(siding::Job job) override {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw siding::ShutdownError("OneThread was shut down and takes no more calls");
    queue_.push(std::move(job));
    changed_.notify_all();
  }

  siding::Job withdraw(siding::Job::Id job) noexcept override {
    const std::lock_guard lock(mutex_);
    return queue_.remove(job);
  }

  bool stop(const siding::ShutdownOptions& options) override {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    while (options.cancel_pending && !queue_.empty()) {
      siding::Job job = queue_.pop();
      lock.unlock();  // cancelling may run callbacks, which may call this executor
      job.cancel();
      lock.lock();
    }
    if (!options.wait) return true;
    const std::chrono::nanoseconds century = std::chrono::years(100);
    const auto limit = options.timeout.has_value() ? options.timeout.value() : century;
    return changed_.wait_for(lock, std::min(limit, century), [this] { return ended_; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      siding::Job job = queue_.pop();
      if (!job) break;  // stopping, and nothing is left
      lock.unlock();
      job.run();
      lock.lock();
    }
    ended_ = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  siding::JobQueue queue_;  // this and what follows is guarded by mutex_
  bool stopping_ = false;
  bool ended_ = false;
  std::thread thread_{&OneThread::work, this};  // last: it uses the others
};

int add(int a, int b) { return a + b; }

siding::Task<> use(siding::Executor& executor) {
  const int first = co_await siding::run_in_executor(executor, add, 40, 2);
  fmt::print("run_in_executor gave {}\n", first);
  const int second = co_await siding::offload(executor, add, 40, 3);
  fmt::print("offload gave {}\n", second);
}

int main() {
  try {
    OneThread executor;
    siding::run(use(executor));
  } catch (const std::exception& error) {
    fmt::print(stderr, "own_executor: {}\n", error.what());
    return 1;
  }
}
