// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/job_node.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/detail/submit.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/executor.hpp>
#include <siding/export.hpp>
#include <siding/limiter.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace siding::detail {

/// The pool that a call goes to which names none.
enum class DefaultPool : unsigned char { threads, processes };

/// The loop's default executor, or its default process pool; made on first use. Throws
/// ShutdownError once they were shut down; ProcessPoolUnavailable.
SIDING_EXPORT Executor& default_executor(Scheduler& scheduler,
                                         DefaultPool pool = DefaultPool::threads);

/// Where an awaited call goes.
struct OffloadTarget {
  Executor* executor;  // null: the default one
  Limiter* limiter;    // null: none
  std::string_view name;
  int priority;
  std::unique_ptr<CallLimits> limits;
  DefaultPool pool;
};

/// An awaited call: the job lives in the awaiting coroutine's frame. The part that does not depend
/// on the function.
///
/// The job and the frame end together: the coroutine is resumed only when the executor has let go of
/// the node, which it does by settling it. So a cancelled call that runs is waited for.
class SIDING_EXPORT OffloadAwaiterBase : public JobNode, public Suspension {
 public:
  bool await_ready() const noexcept { return false; }

  // Loop thread: the executor has let go, or the limiter has let the call in.
  void run() noexcept override {
    arrive();
    if (waits_) [[unlikely]] return let_in();
    resume();
  }
  void refuse() noexcept override {
    arrive();
    if (waits_) leave_limiter();
  }
  bool cancel() noexcept override;
  const JobNode* awaited_call() noexcept override { return this; }
  void describe(FixedText& text) const noexcept override;

  // Whoever holds the job.
  void fail(std::exception_ptr error) noexcept override;
  void drop() noexcept override;
  std::string_view call_name() const noexcept override { return name_; }
  void let_go(std::exception_ptr) noexcept override { send_home(); }
  Inbox* awaited_by() const noexcept override { return home_; }

 protected:
  explicit OffloadAwaiterBase(OffloadTarget&& target) noexcept
      : executor_(target.executor),
        limiter_(target.limiter),
        name_(target.name),
        pool_(target.pool) {
    priority = target.priority;
    limits = std::move(target.limits);
    awaited = true;
  }
  ~OffloadAwaiterBase() = default;

  /// Finds the executor. False: the task was cancelled before, go on at once and throw.
  bool begin();
  /// Whether the call may start now; else it waits for its limiter.
  bool may_start() { return limiter_ == nullptr || borrow(); }
  /// Hands the call over. False: go on at once.
  virtual bool hand_over() = 0;
  /// Hands the job over.
  void start();
  /// The room in the limiter, for a call that may outlive the await.
  LimiterPermit take_permit() noexcept {
    return std::exchange(borrowed_, false) ? LimiterAccess::permit(*limiter_) : LimiterPermit();
  }
  Executor& executor() const noexcept { return *executor_; }
  const std::shared_ptr<Inbox>& home() const noexcept { return context_->scheduler().inbox; }
  /// For the destructor, before the parts go: blocks until the executor has let go.
  void await_release() noexcept;
  /// Settled: on its way to the loop. Nothing of the node is touched afterwards.
  void send_home() noexcept;
  /// After the resumption: throws if there is something to throw besides the function's own error.
  void finish(const std::exception_ptr* unseen);
  /// Hands over what the function threw to nobody.
  void report(const std::exception_ptr& error) noexcept;
  bool finished() const noexcept { return finished_; }
  virtual void request_stop() noexcept = 0;

 private:
  void arrive() noexcept {
    out_ = false;
    --context_->scheduler().offloaded;
  }

  bool borrow();
  void let_in() noexcept;
  void leave_limiter() noexcept;

  Executor* executor_;
  Limiter* limiter_;
  Inbox* home_ = nullptr;
  std::string_view name_;
  std::exception_ptr failure_;  // not from the function: the executor failed the job
  bool out_ = false;            // loop thread: the executor has the node, or it is on its way back
  bool waits_ = false;          // loop thread: for the limiter, not in the executor
  bool borrowed_ = false;       // has room in the limiter; who holds the node gives it back
  bool dropped_ = false;        // the executor cancelled the job
  const DefaultPool pool_;
  bool finished_ = false;       // the coroutine went on
};

/// `co_await offload(...)`.
template <class Call>
class OffloadAwaiter final : public OffloadAwaiterBase {
  using T = typename Call::result_type;

 public:
  OffloadAwaiter(OffloadTarget&& target, Call& call, OnCancel on_cancel) noexcept
      : OffloadAwaiterBase(std::move(target)), call_(call), on_cancel_(on_cancel) {}
  ~OffloadAwaiter() {
    await_release();
    if (!finished() && result_.has_error()) report(result_.error());
  }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    if (!begin()) return false;
    return !may_start() || hand_over();
  }

  T await_resume() {
    if (abandonable_ != nullptr) return abandonable_->awaiter.await_resume();
    finish(result_.has_error() ? &result_.error() : nullptr);
    return result_.take();
  }

  // Worker.
  void execute() noexcept override {
    last_call_end = CallEnd::not_called;
    if (move_phase(Phase::queued, Phase::running)) {
      CallEnd end = CallEnd::returned;
      try {
        const RunningCallScope scope(*this);
        result_.set_value_from([this] { return call_stored(call_, stop_.token()); });
      } catch (...) {
        result_.set_error(std::current_exception());
        end = CallEnd::threw;
      }
      last_call_end = end;
      // release: cancel() on the loop may look before the node arrives there.
      phase.store(Phase::finished, std::memory_order_release);
    }
    send_home();
  }

  // In an executor whose calls run in another process.
  const PortableCall& portable() const noexcept override { return portable_call<Call>(); }
  void encode(WireWriter& out) override { encode_call(call_, out); }
  void settle(WireReader& value) noexcept override {
    // Before the result is made, which may get the arguments' memory.
    if constexpr (CallTypes<Call>::portable && std::is_nothrow_move_constructible_v<Call>) {
      static_cast<void>(Call(std::move(call_)));
    }
    try {
      result_.set_value_from([&value] { return decode_result<Call>(value); });
    } catch (...) {
      result_.set_error(std::current_exception());
    }
    send_home();
  }
  void settle(std::exception_ptr error) noexcept override {
    result_.set_error(std::move(error));
    send_home();
  }

 private:
  // With OnCancel::abandon the frame may go before the function returns, so call and job move into
  // the state of a future, which is awaited in their place.
  struct Abandonable {
    Abandonable(Executor& executor, std::shared_ptr<Inbox> home, std::string_view name,
                int priority, std::unique_ptr<CallLimits> limits, LimiterPermit permit,
                Call& call)
        : future(submit_bound<Call>(executor, FutureState::Origin::loop_call, std::move(home), name,
                                    priority, std::move(limits), true, std::move(permit),
                                    std::move(call))),
          awaiter(std::move(future).operator co_await()) {}
    Future<T> future;
    FutureTaker<T> awaiter;
  };

  bool hand_over() override {
    if (on_cancel_ == OnCancel::wait) {
      start();
      return true;
    }
    abandonable_ =
        std::make_unique<Abandonable>(executor(), home(), call_name(), this->priority,
                                      std::move(this->limits), take_permit(), call_);
    return abandonable_->awaiter.suspend_in(*context_, handle_);
  }
  void request_stop() noexcept override { stop_.request_stop(); }

  Call& call_;
  Result<T> result_;
  std::unique_ptr<Abandonable> abandonable_;
  [[no_unique_address]] StopOf<Call> stop_;
  const OnCancel on_cancel_;
};

}  // namespace siding::detail
