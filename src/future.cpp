// SPDX-License-Identifier: MIT
#include <siding/create_task.hpp>
#include <siding/detail/error_report.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/future.hpp>

#include <fmt/format.h>

#include <ostream>

namespace siding {

std::exception_ptr AnyFuture::exception() const {
  check_done();
  return state_->error();
}

FutureSnapshot AnyFuture::snapshot() const {
  if (!valid()) return {};
  // Once this says that it is done, nothing changes any more.
  if (!state_->done()) {
    const bool running = state_->running();
    if (!state_->done()) {
      return {running ? FutureStatus::running : FutureStatus::pending, nullptr};
    }
  }
  switch (state_->outcome()) {
    case detail::FutureState::Outcome::error:
      return {FutureStatus::error, state_->error()};
    case detail::FutureState::Outcome::cancelled:
      return {FutureStatus::cancelled, state_->error()};
    default:
      return {FutureStatus::value, nullptr};
  }
}

std::string to_string(const AnyFuture& future) {
  if (!future.valid()) return "<future empty>";
  detail::FutureState& state = *detail::FutureAccess::state(future);
  const std::string name = state.name();
  if (!state.done()) {
    const bool running = state.running();
    if (!state.done()) return fmt::format("<future {} {}>", name, running ? "running" : "pending");
  }
  switch (state.outcome()) {
    case detail::FutureState::Outcome::cancelled:
      return fmt::format("<future {} cancelled>", name);
    case detail::FutureState::Outcome::error:
      return fmt::format("<future {} finished: {}>", name, state.error_type());
    default:
      return fmt::format("<future {} finished: {}>", name, detail::type_name(state.value_type()));
  }
}

std::ostream& operator<<(std::ostream& out, const AnyFuture& future) {
  return out << to_string(future);
}

void AnyFuture::check_done() const {
  if (!some().done()) {
    throw InvalidStateError(
        "the future is not done yet: await it, or get() it on a plain thread");
  }
}

AnyFuture current_task() {
  detail::Scheduler* scheduler = detail::current_scheduler;
  if (scheduler == nullptr || scheduler->current == nullptr) return {};
  detail::FutureState& state = scheduler->current->future_state();
  state.retain();
  return detail::FutureAccess::adopt_any(&state);
}

namespace detail {

void throw_no_future() {
  throw InvalidStateError(
      "this future is empty: it was moved from, or nothing was ever assigned to it; copy a handle "
      "before you move it");
}

void FutureAwaiterBase::let_go() noexcept {
  if (on_the_way_) {
    // The frame is destroyed while it waits: only when its loop is closed.
    if (state_->remove_waiter(*this)) {
      count_out();
    } else {
      while (on_the_way_) context_->scheduler().refuse_arrivals();
    }
  }
  state_->release();
}

bool FutureAwaiterBase::start() {
  if (state_->origin() == FutureState::Origin::task && state_ == &context_->future_state()) {
    throw_awaits_itself();
  }
  Scheduler& scheduler = context_->scheduler();
  home = scheduler.inbox.get();
  state_->retain();
  retained_ = true;
  on_the_way_ = true;
  if (!state_->add_waiter(*this)) {
    on_the_way_ = false;
    return false;
  }
  // What another thread completes keeps a virtual clock from jumping.
  if (state_->origin() == FutureState::Origin::loop_call ||
      state_->origin() == FutureState::Origin::call) {
    ++scheduler.offloaded;
    counted_ = true;
  }
  context_->wait_for(*this);
  return true;
}

void FutureAwaiterBase::count_out() noexcept {
  if (counted_) --context_->scheduler().offloaded;
  counted_ = false;
}

bool FutureAwaiterBase::cancel() noexcept {
  if (cancelled_) return false;
  try {
    if (state_->cancel({.reason = context_->cancel_reason()})) return true;
  } catch (const std::bad_alloc&) {
    // The future could not be asked; then at least the wait ends.
  }
  return give_up();
}

bool FutureAwaiterBase::give_up() noexcept {
  if (cancelled_) return false;
  if (!state_->remove_waiter(*this)) return false;  // done: its value is on the way
  cancelled_ = true;
  context_->scheduler().ready.push(*this);
  return true;
}

CallbackBase::CallbackBase() : variables_(current_variables()) {
  static std::atomic<std::uint64_t> ids{0};
  id_ = ids.fetch_add(1, std::memory_order_relaxed) + 1;
  if (current_scheduler != nullptr) {
    loop_ = current_scheduler->inbox;
    home = loop_.get();
  }
}

CallbackBase::~CallbackBase() = default;

std::uint64_t CallbackBase::add(std::unique_ptr<CallbackBase> callback,
                                FutureState& state) noexcept {
  const std::uint64_t id = callback->id_;
  if (state.add_waiter(*callback)) {
    callback.release();  // the state has it now, and it may have run already
    return id;
  }
  CallbackBase* owned = callback.release();
  if (owned->home == nullptr) {
    owned->run();
  } else if (!post(*owned->home, *owned)) {
    owned->refuse();
  }
  return id;
}

void CallbackBase::run() noexcept {
  const std::unique_ptr<CallbackBase> self(this);
  const VariablesScope variables(std::move(variables_));
  try {
    call();
  } catch (...) {
    report_error(loop_, "a done-callback threw", std::current_exception(), future());
  }
}

bool remove_callback(FutureState& state, std::uint64_t id) noexcept {
  FutureWaiter* callback = state.remove_callback(id);
  if (callback == nullptr) return false;
  callback->refuse();
  return true;
}

}  // namespace detail
}  // namespace siding
