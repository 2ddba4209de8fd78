// SPDX-License-Identifier: MIT
#include <siding/detail/error_report.hpp>
#include <siding/detail/future_state.hpp>
#include <siding/detail/job_node.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>
#include <siding/future.hpp>

#include "blocked_call.hpp"
#include "parker.hpp"

#include <fmt/format.h>

#include <mutex>
#include <thread>

namespace siding::detail {

struct FutureState::Extras {
  std::mutex mutex;
  std::string name;
  std::string cancel_reason;
  std::stop_source stop{std::nostopstate};
};

FutureState::~FutureState() { delete extras_.load(std::memory_order_relaxed); }

std::uint64_t FutureState::lock() noexcept {
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((word & locked_bit) != 0) {
      // Held for a few instructions, or for one push to an inbox.
      std::this_thread::yield();
      word = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(word, word | locked_bit, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      return word | locked_bit;
    }
  }
}

// The flags cannot change while the lock bit is held; the count of references beside them can.
void FutureState::unlock(std::uint64_t flags_now, std::uint64_t flags_then) noexcept {
  // release: pairs with the acquire in lock(), and, if done is among the flags, with done().
  word_.fetch_add((flags_then & flag_bits) - (flags_now & flag_bits), std::memory_order_acq_rel);
}

bool FutureState::add_waiter(FutureWaiter& waiter) noexcept {
  const std::uint64_t flags = lock();
  if ((flags & done_bit) != 0) {
    unlock(flags, done_bit);
    return false;
  }
  if (waiters_ == nullptr) {
    waiters_ = waiter.previous = waiter.following = &waiter;
  } else {
    waiter.following = waiters_;
    waiter.previous = waiters_->previous;
    waiter.previous->following = &waiter;
    waiters_->previous = &waiter;
  }
  waiter.linked = true;
  unlock(flags, waited_bit);
  return true;
}

void FutureState::unlink(FutureWaiter& waiter, std::uint64_t flags) noexcept {
  if (waiter.following == &waiter) {
    waiters_ = nullptr;
  } else {
    waiter.previous->following = waiter.following;
    waiter.following->previous = waiter.previous;
    if (waiters_ == &waiter) waiters_ = waiter.following;
  }
  waiter.linked = false;
  unlock(flags, waiters_ != nullptr ? waited_bit : 0);
}

bool FutureState::remove_waiter(FutureWaiter& waiter) noexcept {
  const std::uint64_t flags = lock();
  if (!waiter.linked) {
    unlock(flags, flags & ~locked_bit);
    return false;
  }
  unlink(waiter, flags);
  return true;
}

FutureWaiter* FutureState::remove_callback(std::uint64_t id) noexcept {
  const std::uint64_t flags = lock();
  FutureWaiter* waiter = waiters_;
  while (waiter != nullptr && waiter->callback_id() != id) {
    waiter = waiter->following == waiters_ ? nullptr : waiter->following;
  }
  if (waiter != nullptr) {
    unlink(*waiter, flags);
  } else {
    unlock(flags, flags & ~locked_bit);
  }
  return waiter;
}

bool FutureState::push_if_pending(Scheduler& scheduler, Node& node) noexcept {
  const std::uint64_t flags = lock();
  const bool pushed = (flags & done_bit) == 0 && scheduler.inbox->push(node);
  unlock(flags, flags & ~locked_bit);
  return pushed;
}

void FutureState::complete_slow(bool drop_reference) noexcept {
  if (drop_reference && word_.load(std::memory_order_acquire) == one_reference) {
    word_.store(one_reference | done_bit, std::memory_order_relaxed);
    return last_reference_gone();
  }
  const std::uint64_t flags = lock();
  FutureWaiter* waiters = std::exchange(waiters_, nullptr);
  if (waiters != nullptr) {
    waiters->previous->following = nullptr;  // a plain chain from here on
    for (FutureWaiter* waiter = waiters; waiter != nullptr; waiter = waiter->following) {
      waiter->linked = false;
    }
  }
  // The producer's reference goes in the step in which done comes: from then on the count is that
  // of the handles, by which a reader decides whether it may move the value out.
  const std::uint64_t dropped = drop_reference ? one_reference : 0;
  const std::uint64_t before =
      word_.fetch_add(done_bit - (flags & flag_bits) - dropped, std::memory_order_acq_rel);
  if (((before - dropped) >> 32) == 0) return last_reference_gone();  // no handle: no waiter
  // The waiters are not part of the state, which may be gone from here on.
  while (waiters != nullptr) {
    FutureWaiter* waiter = std::exchange(waiters, waiters->following);  // it may be gone after
    if (waiter->home == nullptr) {
      waiter->run();
    } else if (!post(*waiter->home, *waiter)) {
      waiter->refuse();
    }
  }
}

void FutureState::last_reference_gone() noexcept {
  if (outcome_ == Outcome::error && error_ && !read_.load(std::memory_order_relaxed)) {
    // The report carries a handle, so the state lives once more until that is dropped.
    read_.store(true, std::memory_order_relaxed);
    word_.store(done_bit, std::memory_order_relaxed);
    return report(error_, "an error was never looked at: its future was dropped");
  }
  delete this;
}

void FutureState::report(std::exception_ptr error, std::string_view message) noexcept {
  if (is_cancelled(error)) return;  // the function has heard that its caller has gone
  retain();
  report_error(home(), message, std::move(error), FutureAccess::adopt_any(this));
}

void throw_value_taken() {
  throw InvalidStateError(
      "the value of this future was moved out before, by another handle or read; read it once, or "
      "read all handles as lvalues");
}

std::exception_ptr FutureState::error() {
  mark_read();
  if (outcome_ != Outcome::cancelled) return error_;
  return error_ ? error_ : std::make_exception_ptr(Cancelled(cancel_reason()));
}

std::string FutureState::error_type() const {
  const std::type_info* type = error_ ? error_.__cxa_exception_type() : nullptr;
  return type != nullptr ? type_name(*type) : "no error";
}

void FutureState::throw_error() { std::rethrow_exception(error()); }

namespace {

/// A thread that blocks until a future is done.
struct BlockedThread final : FutureWaiter {
  void run() noexcept override { parker.unpark(); }
  void refuse() noexcept override {}
  Parker parker;
};

}  // namespace

void FutureState::wait_blocking(Limit limit) {
  if (done()) return;
  if (current_scheduler != nullptr) {
    throw WouldBlockLoop(
        "get() would block the running loop of this thread: co_await the future instead");
  }
  const std::optional<TimePoint> until = deadline(Clock::now(), limit);
  const BlockedCall blocked(until.has_value() ? nullptr : running_call, job());
  if (blocked_help != nullptr && !until.has_value()) {
    // A worker that waits for a job that is queued behind it: perhaps nobody else would run it.
    if (JobNode* queued = job()) blocked_help->help(*queued);
    if (done()) return;
  }
  BlockedThread waiter;
  if (!add_waiter(waiter)) return;
  if (waiter.parker.park(until)) return;
  if (!remove_waiter(waiter)) {
    waiter.parker.park();  // completed at the last moment: the wake-up is on its way
    return;
  }
  throw TimeoutError(
      "the future was not done within the limit of get() or map(); it goes on: get() it again, or "
      "cancel() it");
}

FutureState::Extras& FutureState::extras() {
  Extras* extras = extras_.load(std::memory_order_acquire);
  if (extras == nullptr) {
    auto made = std::make_unique<Extras>();
    // acq_rel: publishes the empty block, or finds the one that another thread published first.
    if (extras_.compare_exchange_strong(extras, made.get(), std::memory_order_acq_rel)) {
      extras = made.release();
    }
  }
  return *extras;
}

std::string FutureState::name() {
  static std::atomic<std::uint64_t> numbers{0};
  Extras& own = extras();
  const std::lock_guard lock(own.mutex);
  if (own.name.empty()) {
    const std::uint64_t number = numbers.fetch_add(1, std::memory_order_relaxed) + 1;
    own.name = fmt::format("{}-{}", origin_ == Origin::task ? "task" : "call", number);
  }
  return own.name;
}

void FutureState::describe(FixedText& text) noexcept {
  switch (origin_) {
    case Origin::task: text.add("task"); break;
    case Origin::promise: text.add("a Promise"); break;
    default: text.add("call"); break;
  }
  if (Extras* own = extras_.load(std::memory_order_acquire)) {
    // Somebody may be at it, in the thread that a signal handler has interrupted even.
    const std::unique_lock lock(own->mutex, std::try_to_lock);
    if (lock.owns_lock() && !own->name.empty()) text.add(" '").add(own->name).add("'");
  }
  if (done()) {
    text.add(" (done)");
  } else if (const JobNode* node = job()) {
    text.add(" (").add(state_text(*node)).add(")");
  }
}

void FutureState::set_name(std::string_view name) {
  Extras& own = extras();
  const std::lock_guard lock(own.mutex);
  own.name = name;
}

std::string FutureState::cancel_reason() {
  if (extras_.load(std::memory_order_acquire) == nullptr) return {};
  Extras& own = extras();
  const std::lock_guard lock(own.mutex);
  return own.cancel_reason;
}

void FutureState::set_cancel_reason(std::string_view reason) {
  if (reason.empty()) return;
  Extras& own = extras();
  const std::lock_guard lock(own.mutex);
  own.cancel_reason = reason;
}

std::stop_token FutureState::stop_token(bool requested) {
  Extras& own = extras();
  std::stop_source source(std::nostopstate);
  {
    const std::lock_guard lock(own.mutex);
    // One that was tripped by a request which was thrown since has served.
    if (!own.stop.stop_possible() || (own.stop.stop_requested() && !requested)) {
      own.stop = std::stop_source();
    }
    source = own.stop;
  }
  if (requested) source.request_stop();
  return source.get_token();
}

void FutureState::trip_stop_token() noexcept {
  Extras& own = *extras_.load(std::memory_order_acquire);
  std::stop_source source(std::nostopstate);
  {
    const std::lock_guard lock(own.mutex);
    source = own.stop;
  }
  source.request_stop();  // without the lock: a callback may ask for the task's name
}

}  // namespace siding::detail
