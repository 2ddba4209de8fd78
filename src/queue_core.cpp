// SPDX-License-Identifier: MIT
#include <siding/detail/queue_core.hpp>
#include <siding/error.hpp>
#include <siding/queue.hpp>

namespace siding::detail {

namespace {

[[noreturn]] void throw_shut_down(const char* what) { throw QueueShutDown(what); }

constexpr const char* takes_nothing = "Queue::put: the queue was shut down and takes no more items";
constexpr const char* gives_nothing = "Queue::get: the queue was shut down and has no items left";

}  // namespace

void throw_put_twice() {
  throw InvalidStateError("Queue::put: this put was awaited before; call put() for each item");
}

void QueueCore::throw_takes_nothing() { throw_shut_down(takes_nothing); }

void QueueCore::throw_full() {
  throw QueueFull("Queue::put_nowait: the queue is full; co_await put() waits for room");
}

void QueueCore::throw_nothing_to_get() const {
  if (shut_down_) throw_shut_down(gives_nothing);
  throw QueueEmpty("Queue::get_nowait: the queue is empty; co_await get() waits for an item");
}

void QueueCore::offer() noexcept {
  while (gives() && !getters_.empty()) {
    ++reserved_;
    getters_.first()->end(Waiter::Ending::granted, &granted_);
  }
}

void QueueCore::make_room() noexcept {
  while (!full() && !putters_.empty()) static_cast<PutWaiter*>(putters_.first())->accept();
}

void QueueCore::task_done() {
  if (unfinished_ == 0) {
    throw InvalidStateError(
        "Queue::task_done: it was called for every item already; call it once for each get()");
  }
  joiners_.check_thread("Queue::task_done");
  if (--unfinished_ == 0) finish();
}

void QueueCore::finish() noexcept {
  while (Waiter* waiter = joiners_.first()) waiter->end(Waiter::Ending::granted);
}

void QueueCore::check_all(const char* what) const {
  getters_.check_thread(what);
  putters_.check_thread(what);
  joiners_.check_thread(what);
}

void QueueCore::end(bool dropped) {
  shut_down_ = true;
  if (dropped) {
    unfinished_ -= size_;  // each item that is there is unfinished
    size_ = 0;
    reserved_ = 0;
    while (Waiter* waiter = granted_.first()) waiter->end(Waiter::Ending::refused);
    if (unfinished_ == 0) finish();
  }
  while (Waiter* waiter = getters_.first()) waiter->end(Waiter::Ending::refused);
  while (Waiter* waiter = putters_.first()) waiter->end(Waiter::Ending::refused);
}

void GetWaiter::check_worth_waiting() const {
  if (core_.shut_down_) throw_shut_down(gives_nothing);
}

void GetWaiter::start() {
  core_.home_.check(scheduler(), "Queue::get");
  wait_in(core_.getters_);
}

void GetWaiter::throw_refused() {
  check_ending("Queue::get");
  throw_shut_down(gives_nothing);
}

bool GetWaiter::cancel() noexcept {
  if (ending_ != Ending::granted) return Waiter::cancel();
  cancelled_ = true;
  give_back();
  return true;
}

// Has a right to an item and will not use it.
void GetWaiter::give_back() noexcept {
  ending_ = Ending::none;
  leave_list();
  core_.unreserve();
}

void PutWaiter::start() {
  core_.home_.check(scheduler(), "Queue::put");
  wait_in(core_.putters_);
}

void PutWaiter::accept() noexcept {
  leave_list();  // first, since moving the item in may wake getters, and fail
  try {
    move_in();
    end(Ending::granted);
  } catch (...) {
    error_ = std::current_exception();
    end(Ending::refused);
  }
}

void PutWaiter::throw_ending() {
  check_ending("Queue::put");
  if (error_) std::rethrow_exception(error_);
  throw_shut_down(takes_nothing);
}

void JoinAwaiter::start() {
  core_.home_.check(scheduler(), "Queue::join");
  wait_in(core_.joiners_);
}

}  // namespace siding::detail
