// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/is_task.hpp>
#include <siding/detail/recycler.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/detail/variables.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace siding {

class TimerHandle;

namespace detail {

struct LoopAccess;

/// A callback that returned a Task would never run it.
template <class Fn>
constexpr void check_callback() {
  static_assert(!is_task<std::invoke_result_t<Fn>>,
                "the callback returns a Task, which would never run: give it to create_task(), or "
                "call create_task() in the callback");
}

/// A callback of call_soon, call_later or call_at: in the ready queue or in the timer heap, and
/// kept by the handles to it. Loop thread only.
class SIDING_EXPORT ScheduledCall : public TimerNode, public Recycled {
 public:
  virtual ~ScheduledCall();

  void due(Scheduler& scheduler) noexcept override { scheduler.ready.push(*this); }
  void run() noexcept override;
  void refuse() noexcept override;
  void cancel() noexcept;
  bool cancelled() const noexcept { return state_ == State::cancelled; }
  TimePoint when() const noexcept { return when_; }

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) delete this;
  }

  /// Puts it into the ready queue, or into the heap if there is a time. The loop's reference.
  void schedule();
  void schedule_at(std::optional<TimePoint> when);

 protected:
  explicit ScheduledCall(Scheduler& scheduler) noexcept
      : scheduler_(scheduler), variables_(current_variables()) {}
  virtual void call() = 0;           // calls the function
  virtual void forget() noexcept = 0;  // destroys it

 private:
  enum class State : unsigned char { waiting, ran, cancelled };

  Scheduler& scheduler_;
  Variables variables_;
  TimePoint when_{};
  std::uint32_t references_ = 0;
  State state_ = State::waiting;
};

template <class Fn>
class ScheduledFunction final : public ScheduledCall {
 public:
  ScheduledFunction(Scheduler& scheduler, Fn&& fn) : ScheduledCall(scheduler), fn_(std::move(fn)) {
    check_callback<Fn>();
  }

 private:
  void call() override { std::move (*fn_)(); }
  void forget() noexcept override { fn_.reset(); }

  std::optional<Fn> fn_;
};

/// A callback of call_soon_threadsafe.
class SIDING_EXPORT PostedCall : public Node, public Recycled {
 public:
  virtual ~PostedCall();
  void run() noexcept override;
  void refuse() noexcept override { delete this; }

 protected:
  PostedCall() noexcept : variables_(current_variables()) {}
  virtual void call() = 0;

 private:
  Variables variables_;
};

template <class Fn>
class PostedFunction final : public PostedCall {
 public:
  explicit PostedFunction(Fn&& fn) : fn_(std::move(fn)) { check_callback<Fn>(); }

 private:
  void call() override { std::move(fn_)(); }
  Fn fn_;
};

/// Hands `call` to the loop, or throws LoopClosed and destroys it. Any thread.
SIDING_EXPORT void post_to_loop(Inbox& inbox, std::unique_ptr<PostedCall> call);

template <class Fn>
void post_call(Scheduler& scheduler, Fn&& fn) {
  post_to_loop(*scheduler.inbox, std::make_unique<PostedFunction<Fn>>(std::move(fn)));
}

}  // namespace detail

/// A call that was scheduled on a loop. Copyable; dropping it changes nothing.
/// Thread safety: loop thread only.
class SIDING_EXPORT TimerHandle {
 public:
  /// A handle to no call, to be assigned to: nothing to cancel, and never due.
  TimerHandle() noexcept = default;
  TimerHandle(const TimerHandle& other) noexcept : call_(other.call_) {
    if (call_ != nullptr) call_->retain();
  }
  TimerHandle(TimerHandle&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  TimerHandle& operator=(TimerHandle other) noexcept {
    std::swap(call_, other.call_);
    return *this;
  }
  ~TimerHandle() {
    if (call_ != nullptr) call_->release();
  }

  /// Takes the call back and destroys its function; without effect if it has run.
  void cancel() noexcept {
    if (call_ != nullptr) call_->cancel();
  }
  /// Whether it was taken back before it ran.
  bool cancelled() const noexcept { return call_ != nullptr && call_->cancelled(); }
  /// When it is due; the time of scheduling for call_soon().
  TimePoint when() const noexcept { return call_ != nullptr ? call_->when() : TimePoint::max(); }

  /// Not for users: made by EventLoop.
  explicit TimerHandle(detail::ScheduledCall& call) noexcept : call_(&call) { call.retain(); }

 private:
  detail::ScheduledCall* call_ = nullptr;
};

namespace detail {

template <class Fn>
TimerHandle schedule_call(Scheduler& scheduler, Fn&& fn) {
  auto* call = new ScheduledFunction<Fn>(scheduler, std::move(fn));
  TimerHandle handle(*call);
  call->schedule();
  return handle;
}

template <class Fn>
TimerHandle schedule_call_at(Scheduler& scheduler, std::optional<TimePoint> when, Fn&& fn) {
  auto* call = new ScheduledFunction<Fn>(scheduler, std::move(fn));
  TimerHandle handle(*call);
  call->schedule_at(when);
  return handle;
}

}  // namespace detail
}  // namespace siding
