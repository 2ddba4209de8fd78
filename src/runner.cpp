// SPDX-License-Identifier: MIT
#include <siding/runner.hpp>

#include "interrupt.hpp"
#include "loop.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>
#include <siding/log.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace siding {

namespace detail {

struct LoopAccess {
  static Loop& engine(EventLoop& loop) noexcept { return *loop.loop_; }
};

}  // namespace detail

struct Runner::State {
  explicit State(RunOptions given)
      : options(given), loop(given.loop), engine(detail::LoopAccess::engine(loop)), interrupts(engine) {}

  RunOptions options;
  EventLoop loop;
  detail::Loop& engine;
  detail::InterruptWatch interrupts;
  bool give_up = false;  // a second SIGINT: end without waiting for anything
  bool leaked = false;   // calls that tasks await have not returned in time
  State* next_kept = nullptr;
};

Runner::Runner(RunOptions options) {
  // Before there is a loop, which would have to run once more to be ended.
  detail::check_no_loop_runs("run");
  state_ = std::make_unique<State>(options);
}

Runner::~Runner() {
  if (state_->loop.is_running()) {
    // Inside its own run, or in a child that was forked inside it.
    if (!state_->engine.ring().forked()) {
      detail::log(
          "a runner was destroyed inside its own run; its loop is leaked. Destroy it after run() has "
          "returned");
    }
    static_cast<void>(state_.release());  // the run goes on with it
    return;
  }
  try {
    close();
  } catch (...) {
    detail::log_error(
        "ending a run failed; call Runner::close() to catch this error (it may be from the stop() of "
        "an executor)",
        std::current_exception(), {});
  }
  if (state_->leaked) keep_for_good(std::move(state_));
}

EventLoop& Runner::loop() noexcept { return state_->loop; }

void Runner::check_can_run() const { state_->engine.check_can_run("run"); }

void Runner::run_main(const AnyFuture& main) {
  State& state = *state_;
  if (state.options.handle_sigint) {
    state.interrupts.begin([&state, main](int count) {
      if (count == 1) {
        main.cancel({.reason = "SIGINT"});
      } else {
        state.give_up = true;
        state.loop.stop();
      }
    });
  }
  struct End {
    detail::InterruptWatch& watch;
    ~End() { watch.end(); }
  } end{state.interrupts};
  try {
    state.engine.run_until_done(*detail::FutureAccess::state(main));
  } catch (const InvalidStateError&) {
    if (!state.give_up) throw;
  }
  if (state.interrupts.count() > 0 && (state.give_up || main.cancelled())) {
    throw Interrupted("the run was interrupted by SIGINT");
  }
}

void Runner::close() {
  State& state = *state_;
  if (state.loop.is_closed()) return;
  if (state.engine.ring().forked()) return state.loop.close();  // all else is the parent's
  if (detail::current_scheduler != nullptr) {
    throw std::logic_error(
        "close: a loop is running on this thread; close a runner after its run() has returned");
  }
  const Limit limit = state.options.executor_join_limit;
  const TimePoint begin = Clock::now();
  if (state.give_up) {
    if (state.engine.offloaded != 0) return leak("a second SIGINT came");
    state.engine.leave_default_executor();
  } else {
    if (!state.engine.run_until_no_tasks(limit)) return leak("executor_join_limit has passed");
    Limit rest;
    if (limit.has_value()) {
      rest = std::max(limit.value() - (Clock::now() - begin), std::chrono::nanoseconds(0));
    }
    const Future<bool> joined = state.loop.create_task(state.loop.shutdown_default_executor(rest));
    state.engine.run_until_done(*detail::FutureAccess::state(joined), false);
    if (!joined.result()) {
      detail::log(
          "run: calls on the default executor did not end within executor_join_limit" +
          unfinished_text() +
          "; its threads are left running. Cancel such calls before main ends, and let them take a "
          "std::stop_token");
    }
  }
  state.loop.close();
}

// ": resize, int (*)(int)", or nothing if no call is known.
std::string Runner::unfinished_text() const {
  constexpr std::size_t most = 8;  // chosen: a line that can still be read
  const std::vector<std::string> names = state_->engine.unfinished_calls();
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) {
    text += (i == 0 ? ": " : ", ") + names[i];
  }
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

void Runner::leak(const char* why) {
  detail::log(std::string("run: ") + why + " while tasks await calls that have not returned" +
              unfinished_text() +
              "; their frames, the loop and the default executor are leaked. Let such calls take a "
              "std::stop_token, or OnCancel::abandon");
  state_->engine.give_up();
  state_->leaked = true;
}

void Runner::keep_for_good(std::unique_ptr<State> state) noexcept {
  static std::mutex mutex;
  static State* kept = nullptr;
  const std::lock_guard lock(mutex);
  state->next_kept = std::exchange(kept, state.get());
  static_cast<void>(state.release());
}

}  // namespace siding
