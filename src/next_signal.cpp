// SPDX-License-Identifier: MIT
#include <siding/next_signal.hpp>

#include <siding/detail/signal_handler.hpp>
#include <siding/detail/timeout_scope.hpp>
#include <siding/error.hpp>
#include <siding/future.hpp>
#include <siding/promise.hpp>

#include <fmt/format.h>

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace siding::detail {

namespace {

/// Handlers for the time of one wait. Its end may be that of the loop, too.
class Handlers {
 public:
  Handlers(Scheduler& scheduler, std::size_t size) : scheduler_(scheduler) {
    added_.reserve(size);
  }
  Handlers(const Handlers&) = delete;
  Handlers& operator=(const Handlers&) = delete;
  ~Handlers() {
    for (const int signal : added_) remove_signal_handler(scheduler_, signal);
  }

  void add(int signal, std::shared_ptr<SignalHandler> handler) {
    if (has_signal_handler(scheduler_, signal)) {
      throw InvalidStateError(fmt::format(
          "next_signal({}): this loop has a handler for it; remove that first", signal));
    }
    add_signal_handler(scheduler_, signal, std::move(handler));
    added_.push_back(signal);
  }

 private:
  Scheduler& scheduler_;
  std::vector<int> added_;
};

/// Tells the promise of a wait. What is raised when the wait is over, and was taken by its handler, is
/// raised again: between waits a signal does what it did before.
class WaitHandler final : public SignalHandler {
 public:
  WaitHandler(std::shared_ptr<Promise<int>> first, int signal)
      : first_(std::move(first)), signal_(signal) {}
  void missed() noexcept override { ::kill(::getpid(), signal_); }

 private:
  void call() override {
    if (first_->future().done()) return missed();  // by another signal
    first_->set_value(signal_);
  }

  std::shared_ptr<Promise<int>> first_;
  const int signal_;
};

}  // namespace

Task<int> await_signal(std::vector<int> signals) {
  TaskContext& context = co_await CurrentContext();
  const auto first = std::make_shared<Promise<int>>();
  const Future<int> raised = first->future();
  Handlers handlers(context.scheduler(), signals.size());
  for (const int signal : signals) {
    handlers.add(signal, std::make_shared<WaitHandler>(first, signal));
  }
  try {
    co_return co_await raised;
  } catch (...) {
    if (raised.done()) ::kill(::getpid(), raised.result());  // it came, and the wait was over
    throw;
  }
}

}  // namespace siding::detail
