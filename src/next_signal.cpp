// SPDX-License-Identifier: MIT
#include <siding/next_signal.hpp>

#include <siding/detail/signal_handler.hpp>
#include <siding/detail/timeout_scope.hpp>
#include <siding/error.hpp>
#include <siding/future.hpp>
#include <siding/promise.hpp>

#include <fmt/format.h>

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

  template <class Fn>
  void add(int signal, Fn fn) {
    if (has_signal_handler(scheduler_, signal)) {
      throw InvalidStateError(fmt::format(
          "next_signal({}): this loop has a handler for it; remove that first", signal));
    }
    add_signal_handler(scheduler_, signal, std::make_shared<SignalFunction<Fn>>(std::move(fn)));
    added_.push_back(signal);
  }

 private:
  Scheduler& scheduler_;
  std::vector<int> added_;
};

}  // namespace

Task<int> await_signal(std::vector<int> signals) {
  TaskContext& context = co_await CurrentContext();
  const auto first = std::make_shared<Promise<int>>();
  const Future<int> raised = first->future();
  Handlers handlers(context.scheduler(), signals.size());
  for (const int signal : signals) {
    handlers.add(signal, [first, signal] {
      if (!first->future().done()) first->set_value(signal);
    });
  }
  co_return co_await raised;
}

}  // namespace siding::detail
