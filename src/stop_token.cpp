// SPDX-License-Identifier: MIT
#include <siding/stop_token.hpp>

#include <siding/detail/error_report.hpp>
#include <siding/detail/future_state.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/detail/task_context.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

namespace siding {

namespace {

constexpr const char* stop_reason = "a stop was requested";

/// Binds a future to a stop token. It is counted: the future holds it until that is done, and a
/// stop request while it is on its way to the loop.
///
/// What a std::stop_callback does must not wait for the thread that destroys it, which waits for
/// it. So a request of another thread is only pushed to the loop, which never blocks; the loop does
/// the cancelling, and the future's end too is told to the loop and not to whoever brings it about.
class StopLink {
 public:
  StopLink(AnyFuture future, std::shared_ptr<detail::Inbox> loop)
      : future_(std::move(future)), loop_(std::move(loop)) {}
  StopLink(const StopLink&) = delete;
  StopLink& operator=(const StopLink&) = delete;

  // Loop thread. The link may be gone on return.
  void bind(std::stop_token token) noexcept {
    done_.home = loop_.get();
    callback_.emplace(std::move(token), Trip{this});  // perhaps it runs in here
    if (!detail::FutureAccess::state(future_)->add_waiter(done_)) end();
  }

 private:
  struct Done final : detail::FutureWaiter {
    explicit Done(StopLink& owner) noexcept : link(owner) {}
    void run() noexcept override { link.end(); }
    void refuse() noexcept override { link.end(); }
    StopLink& link;
  };
  struct Request final : detail::Node {
    explicit Request(StopLink& owner) noexcept : link(owner) {}
    void run() noexcept override {
      link.cancel();
      link.release();
    }
    void refuse() noexcept override { link.release(); }
    StopLink& link;
  };
  struct Trip {
    StopLink* link;
    void operator()() const noexcept { link->requested(); }
  };

  // The thread that requests the stop; once.
  void requested() noexcept {
    const detail::Scheduler* here = detail::current_scheduler;
    if (here != nullptr && here->inbox == loop_) return cancel();
    // relaxed: the future's reference is held while this runs, since end() waits for it.
    references_.fetch_add(1, std::memory_order_relaxed);
    if (!loop_->push(request_)) release();
  }

  // Loop thread.
  void cancel() noexcept {
    try {
      future_.cancel({.reason = stop_reason});
    } catch (...) {
      detail::report_error(loop_, "a stop request could not cancel its future",
                           std::current_exception(), future_);
    }
  }

  // The future is done. Loop thread; if the loop is closed, perhaps the one that completes.
  void end() noexcept {
    callback_.reset();  // waits for requested() of another thread; after it there is none
    release();
  }

  void release() noexcept {
    // acq_rel: the last one sees what the other did to the link.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  const AnyFuture future_;
  const std::shared_ptr<detail::Inbox> loop_;  // counted: a stop may come when the loop is gone
  Done done_{*this};
  Request request_{*this};
  std::atomic<int> references_{1};
  std::optional<std::stop_callback<Trip>> callback_;
};

}  // namespace

void cancel_on_stop(const AnyFuture& future, std::stop_token token) {
  detail::Scheduler& scheduler = detail::require_scheduler("cancel_on_stop");
  if (!future.valid()) detail::throw_no_future();
  if (future.done() || !token.stop_possible()) return;
  if (token.stop_requested()) {
    future.cancel({.reason = stop_reason});
    return;
  }
  auto link = std::make_unique<StopLink>(future, scheduler.inbox);
  link.release()->bind(std::move(token));  // it frees itself
}

std::stop_token current_stop_token() {
  const detail::Scheduler* scheduler = detail::current_scheduler;
  if (scheduler == nullptr || scheduler->current == nullptr) return {};
  return scheduler->current->stop_token();
}

}  // namespace siding
