// SPDX-License-Identifier: MIT
#include <siding/detail/future_state.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/error.hpp>
#include <siding/task.hpp>

#include <fmt/format.h>

#include <memory>
#include <new>
#include <utility>

namespace siding::detail {

constinit thread_local Scheduler* current_scheduler = nullptr;

Scheduler& require_scheduler(std::string_view what) {
  if (current_scheduler == nullptr) {
    throw NoRunningLoop(fmt::format(
        "{} needs a running loop: call it in a coroutine given to siding::run()", what));
  }
  return *current_scheduler;
}

void TaskContext::request_cancel(std::string_view reason) {
  CancelWave& wave = scheduler_.wave;
  if (wave.depth == 0) wave.number = ++scheduler_.waves;
  if (wave.ending && wave_ != wave.number) {
    if (asked_to_end_) return;
    asked_to_end_ = true;
    if (task_link != nullptr) {
      delist();
    } else {
      made_ = scheduler_.recent;  // it is on its way from another thread
    }
    enlist_in(scheduler_.asked);
  }
  future_state().set_cancel_reason(reason);
  ++cancel_requests_;
  pass_cancel_on();
  trip_stop_token();
}

// A task that a wave comes to again is waiting for itself, through others; that is not so for one
// that has passed the whole of it on already, to which two ways lead.
void TaskContext::pass_cancel_on() noexcept {
  CancelWave& wave = scheduler_.wave;
  if (suspension_ == nullptr) {
    must_cancel_ = true;
  } else if (wave_ == wave.number) {
    if (!suspension_->give_up()) must_cancel_ = true;
  } else if (wave.depth < CancelWave::depth_limit || !put_cancel_off()) {
    if (wave.depth == 0) wave.parted = false;
    wave_ = wave.number;
    ++wave.depth;
    const bool reached = suspension_->cancel();
    --wave.depth;
    if (!wave.parted) wave_ = 0;
    if (!reached) must_cancel_ = true;
  }
}

// Goes on in a later iteration. Should the task go on before, it meets the request at its next
// suspension point. False: there is no memory.
bool TaskContext::put_cancel_off() noexcept {
  struct Rest final : Node {
    explicit Rest(TaskContext& owner) noexcept
        : task(owner), wave(owner.scheduler_.wave.number), ending(owner.scheduler_.wave.ending) {
      task.future_state().retain();
      ++task.scheduler_.put_off;
    }
    ~Rest() {
      --task.scheduler_.put_off;
      task.future_state().release();
    }
    void run() noexcept override {
      const std::unique_ptr<Rest> self(this);
      task.resume_cancel(wave, ending);
    }
    void refuse() noexcept override { delete this; }

    TaskContext& task;
    const std::uint64_t wave;
    const bool ending;
  };
  Node* rest = new (std::nothrow) Rest(*this);
  if (rest == nullptr) return false;
  scheduler_.wave.parted = true;
  must_cancel_ = true;
  scheduler_.ready.push(*rest);
  return true;
}

void TaskContext::resume_cancel(std::uint64_t number, bool ending) noexcept {
  if (!must_cancel_ || suspension_ == nullptr || wave_ == number) return;
  CancelWave& wave = scheduler_.wave;
  wave.number = number;
  wave.ending = ending;
  must_cancel_ = false;
  pass_cancel_on();
  wave.ending = false;
}

void TaskContext::ask_to_end() {
  struct Ending {
    explicit Ending(CancelWave& owner) noexcept : wave(owner) { wave.ending = true; }
    ~Ending() { wave.ending = false; }
    CancelWave& wave;
  };
  const Ending mark(scheduler_.wave);
  request_cancel("the loop is ending");
}

std::stop_token TaskContext::stop_token() { return future_state().stop_token(must_cancel_); }

void TaskContext::trip_stop_token() noexcept {
  FutureState& state = future_state();
  if (!state.may_have_stop_token()) [[likely]] return;
  // What a user's callback cancels is a request of its own, and no part of the wave under way.
  const CancelWave wave = std::exchange(scheduler_.wave, CancelWave());
  state.trip_stop_token();
  scheduler_.wave = wave;
}

std::string TaskContext::cancel_reason() { return future_state().cancel_reason(); }

void TaskContext::throw_cancelled() {
  absorb_cancel();
  throw Cancelled(cancel_reason());
}

void throw_awaits_itself() {
  throw InvalidStateError(
      "a task awaits its own future, which would never end: await the future in another task");
}

void throw_awaited_twice() {
  throw InvalidStateError(
      "this task was awaited before, or moved from: await a task once, or share it through the "
      "future of create_task()");
}

}  // namespace siding::detail
