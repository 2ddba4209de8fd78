// SPDX-License-Identifier: MIT
#include <siding/event_loop.hpp>

#include "descriptor_watch.hpp"
#include "loop.hpp"
#include "task_dump.hpp"

#include <siding/error.hpp>
#include <siding/executor.hpp>

#include <memory>
#include <string>
#include <utility>

namespace siding {

namespace {

detail::DescriptorWatches::What watch_kind(bool writable) noexcept {
  return writable ? detail::DescriptorWatches::What::writable
                  : detail::DescriptorWatches::What::readable;
}

}  // namespace

EventLoop::EventLoop(LoopOptions options) : loop_(std::make_unique<detail::Loop>(options)) {
  loop_->face = this;
}

EventLoop::~EventLoop() { loop_->close(); }

EventLoop& EventLoop::current() {
  return *static_cast<detail::Loop&>(detail::require_scheduler("EventLoop::current")).face;
}

EventLoop* EventLoop::current_or_null() noexcept {
  detail::Scheduler* scheduler = detail::current_scheduler;
  return scheduler != nullptr ? static_cast<detail::Loop*>(scheduler)->face : nullptr;
}

void EventLoop::set_exception_handler(std::function<void(const ErrorReport& report)> handler) {
  loop_->check_thread("set_exception_handler");
  loop_->exception_handler = std::move(handler);
}

std::shared_ptr<Executor> EventLoop::set_default_executor(std::shared_ptr<Executor> executor) {
  loop_->check_open("set_default_executor");
  loop_->check_thread("set_default_executor");
  if (loop_->default_executor_ended) {
    throw ShutdownError(
        "set_default_executor: the default executor of this loop was shut down, and there will be "
        "no other; name another executor in the call");
  }
  return std::exchange(loop_->default_executor, std::move(executor));
}

std::shared_ptr<Executor> EventLoop::default_executor() const { return loop_->default_executor; }

TimePoint EventLoop::time() const noexcept { return loop_->now(); }
void EventLoop::run_forever() {
  check_can_run("run_forever");
  loop_->run_forever();
}
void EventLoop::stop() noexcept { loop_->stop(); }
void EventLoop::close() { loop_->close(); }
bool EventLoop::is_closed() const noexcept { return loop_->closed(); }
bool EventLoop::is_running() const noexcept { return loop_->running(); }
LoopCounters EventLoop::counters() const noexcept { return loop_->counters(); }
bool EventLoop::get_debug() const noexcept { return loop_->debug; }
void EventLoop::set_debug(bool on) {
  loop_->check_thread("set_debug");
  loop_->debug = on;
}
std::vector<AnyFuture> EventLoop::all_tasks() const {
  loop_->check_thread("all_tasks");
  return detail::all_tasks(*loop_);
}
std::string EventLoop::dump_tasks() const { return detail::dump_tasks(*loop_); }

std::vector<AnyFuture> all_tasks() {
  return detail::all_tasks(detail::require_scheduler("all_tasks"));
}
std::string dump_tasks() {
  return detail::dump_tasks(
      static_cast<detail::Loop&>(detail::require_scheduler("dump_tasks")));
}

detail::Scheduler& EventLoop::scheduler() const noexcept { return *loop_; }

void EventLoop::add_watch(int descriptor, bool writable,
                          std::shared_ptr<detail::SignalHandler> handler) {
  if (loop_->descriptors == nullptr) {
    loop_->descriptors = std::make_unique<detail::DescriptorWatches>(*loop_);
  }
  loop_->descriptors->add(descriptor, watch_kind(writable), std::move(handler));
}

bool EventLoop::remove_reader(int descriptor) {
  open_here("remove_reader");
  return loop_->descriptors != nullptr && loop_->descriptors->remove(descriptor, watch_kind(false));
}

bool EventLoop::remove_writer(int descriptor) {
  open_here("remove_writer");
  return loop_->descriptors != nullptr && loop_->descriptors->remove(descriptor, watch_kind(true));
}

bool EventLoop::remove_signal_handler(int signal) {
  return detail::remove_signal_handler(open_here("remove_signal_handler"), signal);
}

bool EventLoop::has_signal_handler(int signal) const {
  return detail::has_signal_handler(*loop_, signal);
}

detail::Scheduler& EventLoop::open(std::string_view what) const {
  loop_->check_open(what);
  return *loop_;
}

detail::Scheduler& EventLoop::open_here(std::string_view what) const {
  loop_->check_open(what);
  loop_->check_thread(what);
  return *loop_;
}

void EventLoop::check_can_run(std::string_view what) const { loop_->check_can_run(what); }

void EventLoop::run_until_done(const AnyFuture& future) {
  loop_->run_until_done(*detail::FutureAccess::state(future));
}

namespace detail {

bool post_cancel(Scheduler& scheduler, FutureState& state, std::string_view reason) {
  struct CancelNode final : Node {
    CancelNode(FutureState& target, std::string_view text) : state(target), why(text) {
      state.retain();
    }
    ~CancelNode() { state.release(); }
    void run() noexcept override {
      const std::unique_ptr<CancelNode> self(this);
      state.cancel({.reason = why});
    }
    void refuse() noexcept override { delete this; }

    FutureState& state;
    std::string why;
  };
  auto node = std::make_unique<CancelNode>(state, reason);
  // The task has not ended, so its loop and that loop's inbox are there: see push_if_pending().
  if (!state.push_if_pending(scheduler, *node)) return false;
  node.release();
  return true;
}

}  // namespace detail
}  // namespace siding
