// SPDX-License-Identifier: MIT
#include "task_dump.hpp"

#include "loop.hpp"
#include "parker.hpp"
#include "stack_text.hpp"
#include "thread_interrupt.hpp"

#include <siding/detail/future_state.hpp>
#include <siding/task.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace siding::detail {

namespace {

// How long a loop that runs may take to write the dump itself before its thread is interrupted, and
// how long that may take. Chosen: a healthy loop answers in microseconds.
constexpr std::chrono::milliseconds answer_limit{50};
constexpr std::chrono::milliseconds interrupt_limit{1000};
// Coroutines of one task that are shown.
constexpr int shown_depth = 64;
// Frames of the handler itself: capture, the work, the handler, the return from it.
constexpr std::size_t handler_frames = 4;

constexpr std::size_t first_room = 64 << 10;
constexpr std::size_t interrupted_room = 1 << 20;

void write_chain(FixedText& text, std::coroutine_handle<> coroutine) noexcept {
  for (int depth = 0; coroutine && depth < shown_depth; ++depth) {
    const PromiseBase& promise = PromiseBase::of(coroutine);
    if (!is_in_library(promise.place)) {
      text.add("    in ");
      write_place(text, promise.place);
      text.add("\n");
    }
    coroutine = promise.continuation;
  }
  if (coroutine) text.add("    ...\n");
}

void write_task(FixedText& text, TaskContext& task) noexcept {
  const Scheduler& scheduler = task.scheduler();
  task.future_state().describe(text);
  text.add(", ").add(scheduler.now() - task.made()).add(" old");
  if (task.cancel_requests() > 0) text.add(", asked to cancel");
  if (scheduler.current == &task) {
    text.add(", runs\n");
  } else if (const Suspension* suspension = task.suspension()) {
    text.add(", waits for ");
    suspension->describe(text);
    text.add("\n");
    write_chain(text, suspension->handle());
  } else if (!task.resume_point()) {
    text.add(", is ending\n");  // its frame is just being destroyed
  } else {
    text.add(task.future_state().running() ? ", is ready to go on\n" : ", has not started\n");
    write_chain(text, task.resume_point());
  }
}

void write_tasks(FixedText& text, const Scheduler& scheduler) noexcept {
  std::size_t count = 0;
  for (TaskContext* list : {scheduler.tasks, scheduler.asked}) {
    for (TaskContext* task = list; task != nullptr; task = task->next_task) ++count;
  }
  text.add(count).add(count == 1 ? " task, " : " tasks, ");
  text.add(scheduler.timers.size()).add(scheduler.timers.size() == 1 ? " timer\n" : " timers\n");
  for (TaskContext* list : {scheduler.tasks, scheduler.asked}) {
    for (TaskContext* task = list; task != nullptr; task = task->next_task) {
      write_task(text, *task);
    }
  }
}

// Between two steps, or while the loop does not run.
std::string dump_here(const Scheduler& scheduler) {
  for (TaskContext* list : {scheduler.tasks, scheduler.asked}) {
    for (TaskContext* task = list; task != nullptr; task = task->next_task) {
      static_cast<void>(task->future_state().name());  // has one made, if need be
    }
  }
  for (std::size_t room = first_room;; room *= 4) {
    std::string buffer(room, '\0');
    FixedText text(buffer);
    write_tasks(text, scheduler);
    if (text.cut()) continue;
    buffer.resize(text.view().size());
    return buffer;
  }
}

/// Has the loop write the dump, when it comes to it.
struct DumpNode final : Node {
  void run() noexcept override {
    const auto keep = std::move(self);
    if (given_up.load(std::memory_order_relaxed)) return;
    try {
      text = dump_here(*current_scheduler);
    } catch (...) {
      text = "there is no memory for a dump";
    }
    parker.unpark();
  }
  void refuse() noexcept override {
    const auto keep = std::move(self);
    text = "the loop was closed";
    parker.unpark();
  }

  Parker parker;  // its wake-up makes `text` visible
  std::string text;
  std::atomic<bool> given_up{false};  // nobody reads it: saves the work
  std::shared_ptr<DumpNode> self;     // while it is on its way
};

/// In the middle of a step.
struct StuckLoop final : Interruption {
  StuckLoop(const Scheduler& interrupted, std::size_t room)
      : scheduler(interrupted), buffer(room, '\0'), tasks(buffer), step(step_buffer) {}

  void run() noexcept override {
    running = current_scheduler == &scheduler;
    if (!running) return;
    stack.capture();
    if (scheduler.current != nullptr) {
      scheduler.current->future_state().describe(step);
    } else {
      step.add("a callback, or the end of a task");
    }
    if (!buffer.empty()) write_tasks(tasks, scheduler);
  }
  std::string step_text() const {
    return std::string(step.view()) + "; the stack of its thread:\n" + stack.text(handler_frames);
  }

  const Scheduler& scheduler;
  std::string buffer;
  FixedText tasks;
  char step_buffer[256]{};
  FixedText step;
  StackTrace stack;
  bool running = false;  // the thread still runs the loop
};

InterruptResult interrupt_loop(Loop& loop, StuckLoop& work) {
  StackTrace::prepare();
  const InterruptResult result = interrupt_thread(loop.thread_id(), work, interrupt_limit);
  return result == InterruptResult::done && !work.running ? InterruptResult::gone : result;
}

std::string why_not(InterruptResult result) {
  switch (result) {
    case InterruptResult::blocked:
      return "the loop is stuck, and its thread cannot be interrupted: it blocks SIGURG";
    case InterruptResult::late:
      return "the loop is stuck, and its thread does not come to be interrupted: it waits in the "
             "kernel, or has no time to run";
    default:
      return "the loop does not run any more";
  }
}

}  // namespace

bool is_in_library(const Place& place) noexcept {
  return std::string_view(place.file_name()).find("include/siding/") != std::string_view::npos;
}

void write_place(FixedText& text, const Place& place) noexcept {
  std::string_view function = place.function_name();
  // g++ names a running coroutine "void f(f(int)::_Z1fi.Frame*)".
  const std::size_t frame = function.rfind(".Frame*)");  // the names of lambdas hold those of others
  if (frame != std::string_view::npos) {
    std::size_t begin = frame;
    for (int open = 1; begin > 0 && open > 0;) {
      --begin;
      if (function[begin] == ')') ++open;
      if (function[begin] == '(') --open;
    }
    function = function.substr(0, begin);
    if (function.starts_with("void ")) function.remove_prefix(5);
  }
  function = function.substr(0, function.find(" [with "));  // what g++ says of templates
  text.add(function).add(" (").add(place.file_name()).add(":");
  text.add(static_cast<std::uint64_t>(place.line())).add(")");
}

std::string place_text(const Place& place) {
  char buffer[1024];
  FixedText text(buffer);
  write_place(text, place);
  return std::string(text.view());
}

std::vector<AnyFuture> all_tasks(const Scheduler& scheduler) {
  std::vector<AnyFuture> tasks;
  for (TaskContext* list : {scheduler.tasks, scheduler.asked}) {
    for (TaskContext* task = list; task != nullptr; task = task->next_task) {
      FutureState& state = task->future_state();
      state.retain();
      tasks.push_back(FutureAccess::adopt_any(&state));
    }
  }
  std::reverse(tasks.begin(), tasks.end());
  return tasks;
}

std::string dump_tasks(Loop& loop) {
  if (loop.closed()) return "the loop is closed";
  if (!loop.running() || current_scheduler == &loop) return dump_here(loop);
  const auto node = std::make_shared<DumpNode>();
  node->self = node;
  if (!loop.inbox->push(*node)) {
    node->self = nullptr;
    return "the loop is closed";
  }
  if (node->parker.park(Clock::now() + answer_limit)) return node->text;
  StuckLoop stuck(loop, interrupted_room);
  const InterruptResult result = interrupt_loop(loop, stuck);
  if (result != InterruptResult::done) {
    // Perhaps it has gone on meanwhile.
    return node->parker.park(Clock::now()) ? node->text : why_not(result);
  }
  node->given_up.store(true, std::memory_order_relaxed);
  return std::string(stuck.tasks.view()) +
         (stuck.tasks.cut() ? "\n(cut: there are more)\n" : "") + "the loop is stuck in " +
         stuck.step_text();
}

std::string describe_stuck_thread(Loop& loop) {
  StuckLoop stuck(loop, 0);
  const InterruptResult result = interrupt_loop(loop, stuck);
  return result == InterruptResult::done ? "stuck in " + stuck.step_text() : why_not(result);
}

}  // namespace siding::detail
