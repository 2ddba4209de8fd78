// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/detail/bound_call.hpp>
#include <siding/detail/future_state.hpp>
#include <siding/detail/job_node.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/limiter.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace siding::detail {

/// The call behind a future of `submit` or `run_in_executor`: future state and job in one
/// allocation. The job holds one reference until it is settled.
template <class T, class Call>
class CallState final : public ValueState<T>, public JobNode {
  using Outcome = FutureState::Outcome;
  using Origin = FutureState::Origin;

 public:
  template <class... Parts>
  explicit CallState(Origin origin, std::shared_ptr<Inbox> home, Parts&&... parts)
      : ValueState<T>(origin, 2),  // the job's, and the first handle's
        call_(std::in_place, std::forward<Parts>(parts)...),
        home_(std::move(home)) {}

  // Worker.
  void execute() noexcept override {
    last_call_end = CallEnd::not_called;
    if (!this->move_phase(Phase::queued, Phase::running)) return this->release();
    std::exception_ptr error;
    try {
      const RunningCallScope scope(*this);
      this->emplace_from([this] { return call_stored(*call_, stop_.token()); });
    } catch (...) {
      error = std::current_exception();
    }
    last_call_end = error ? CallEnd::threw : CallEnd::returned;
    end_call();  // what the function held ends with it, not with the last handle
    if (this->move_phase(Phase::running, Phase::finished)) {
      const Outcome outcome = error ? Outcome::error : Outcome::value;
      this->complete(outcome, std::move(error), true);
    } else {
      // Abandoned: the future was completed as cancelled, nobody looks at the value.
      if (error) {
        this->report(std::move(error), "a call threw after its future was cancelled");
      } else {
        this->unmake();
      }
      this->release();
    }
  }

  void fail(std::exception_ptr error) noexcept override {
    if (!this->move_phase(Phase::queued, Phase::finished)) return this->release();
    end_call();
    this->complete(Outcome::error, std::move(error), true);
  }

  void drop() noexcept override {
    if (!this->move_phase(Phase::queued, Phase::cancelled)) return this->release();
    end_call();
    this->complete(Outcome::cancelled, true);
  }

  /// The executor refused it by an exception, which the caller gets: nobody will look here.
  void unsubmitted() noexcept {
    this->mark_read();
    fail(nullptr);
  }

  // In an executor whose calls run in another process.
  const PortableCall& portable() const noexcept override { return portable_call<Call>(); }
  void encode(WireWriter& out) override { encode_call(*call_, out); }
  void settle(WireReader& value) noexcept override {
    end_call();  // before the result is made, which may get the arguments' memory
    std::exception_ptr error;
    try {
      this->emplace_from([&value] { return decode_result<Call>(value); });
    } catch (...) {
      error = std::current_exception();
    }
    const Outcome outcome = error ? Outcome::error : Outcome::value;
    this->complete(outcome, std::move(error), true);
  }
  void settle(std::exception_ptr error) noexcept override {
    end_call();
    const Outcome outcome = is_cancelled(error) ? Outcome::cancelled : Outcome::error;
    this->complete(outcome, std::move(error), true);
  }
  void let_go(std::exception_ptr error) noexcept override {
    end_call();
    if (error) this->report(std::move(error), "a call threw after its future was cancelled");
    this->release();
  }
  Inbox* awaited_by() const noexcept override { return home_.get(); }

  std::string_view call_name() const noexcept override {
    return extras_ ? std::string_view(extras_->name) : std::string_view();
  }
  /// Before it is submitted.
  void describe(std::string_view name, LimiterPermit permit) {
    if (!name.empty()) this->set_name(name);
    extras_ = std::make_unique<Extras>(std::string(name), std::move(permit));
  }

  // Any thread. A call that is cancelled while queued stays in the executor's queue as an empty
  // shell until a worker comes by: the executor may be gone by the time a handle is cancelled.
  bool cancel(const CancelOptions& options) override {
    if (this->done()) return false;
    this->set_cancel_reason(options.reason);
    const bool is_loop_call = this->origin() == Origin::loop_call;
    do {
      if (this->move_phase(Phase::queued, Phase::cancelled)) {
        end_call();
        this->complete(Outcome::cancelled, false);
        return true;
      }
      if (this->pin()) return cancel_away(is_loop_call);
      // An executor moves it from one process to another.
    } while (this->may_be_caught());
    if (!is_loop_call) return false;
    if (!this->move_phase(Phase::running, Phase::abandoned)) return false;
    stop_.request_stop();
    this->complete(Outcome::cancelled, false);
    return true;
  }
  bool running() const noexcept override {
    const Phase now = phase.load(std::memory_order_acquire);
    if (now != Phase::away && now != Phase::pinned) return now == Phase::running;
    auto& self = const_cast<CallState&>(*this);
    if (!self.pin()) return false;
    const bool begun = remote->has_begun(*this);
    self.unpin(Phase::away);
    return begun;
  }
  bool request_stop() noexcept override { return !this->done() && stop_.request_stop(); }
  JobNode* job() noexcept override { return this; }

  void run() noexcept override {}     // nobody awaits the job itself
  void refuse() noexcept override {}

 private:
  // What few calls have.
  struct Extras {
    Extras(std::string given, LimiterPermit room) noexcept
        : name(std::move(given)), permit(std::move(room)) {}
    // The executor's view of the name: Future::set_name changes the future's only.
    const std::string name;
    LimiterPermit permit;  // until the function has returned
  };

  // The function has returned, or will never be called. Whoever holds the Job, or took it back.
  void end_call() noexcept {
    call_.reset();
    if (extras_ != nullptr) extras_->permit.give_back();
  }

  // The call is pinned.
  bool cancel_away(bool may_abandon) noexcept {
    if (remote->recall(*this)) {
      end_call();
      this->unpin(Phase::cancelled);
      this->complete(Outcome::cancelled, true);  // the executor has forgotten it
      return true;
    }
    if (!may_abandon) {
      this->unpin(Phase::away);
      return false;
    }
    remote->interrupt(*this);
    this->unpin(Phase::abandoned);
    this->complete(Outcome::cancelled, false);
    return true;
  }

  std::shared_ptr<Inbox> home() const noexcept override { return home_; }

  std::optional<Call> call_;
  const std::shared_ptr<Inbox> home_;  // counted: the call may end after its loop
  [[no_unique_address]] StopOf<Call> stop_;
  std::unique_ptr<Extras> extras_;
};

}  // namespace siding::detail
