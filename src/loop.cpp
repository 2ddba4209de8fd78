// SPDX-License-Identifier: MIT
#include "loop.hpp"

#include "descriptor_watch.hpp"
#include "signal_source.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/error.hpp>
#include <siding/executor.hpp>

#include <fmt/format.h>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <typeinfo>
#include <utility>

// One iteration, as docs/explanation/architecture.md numbers it:
//   1. timers that are due join the ready queue
//   2. what other threads left in the inbox joins it
//   3. if nothing is ready, the loop sleeps: until a completion, a write to the eventfd, or the
//      next timer; then 1 and 2 again
//   4. what was ready at this point runs; what it makes ready waits for the next iteration

namespace siding::detail {

namespace {

// A wake-up for a timer alone costs about 19 us of CPU (measured). With more timers than this
// armed, such wake-ups are at least `timer_gap` apart. Both chosen: a few sleeping tasks stay
// exact, and a crowd is late by half a millisecond at most.
constexpr std::size_t crowd = 64;
constexpr std::chrono::microseconds timer_gap{500};

// How many iterations go by between two looks at the ring while there is always something to run.
// Chosen: a look costs a few nanoseconds, and a completion is late by 32 iterations at most.
constexpr std::uint64_t look_period = 32;

}  // namespace

struct Loop::Running {
  explicit Running(Loop& owner) : loop(owner) {
    // First what may throw; the ring belongs to the thread that enables it.
    if (loop.watchdog_limit_.has_value()) watchdog.emplace(loop, loop.watchdog_limit_.value());
    loop.ring_.enable();
    former = std::exchange(current_scheduler, &loop);
    loop.running_.store(true, std::memory_order_relaxed);
    loop.owner_ = std::this_thread::get_id();
    loop.thread_id_.store(::gettid(), std::memory_order_relaxed);
    loop.recent = loop.now();
    for (const auto& watch : loop.watches_) watch->source->attach();
  }
  ~Running() {
    watchdog.reset();
    for (const auto& watch : loop.watches_) watch->source->detach();
    loop.stopping_ = false;
    loop.running_.store(false, std::memory_order_relaxed);
    current_scheduler = former;
  }
  Loop& loop;
  Scheduler* former = nullptr;
  std::optional<Watchdog> watchdog;
};

namespace {

std::shared_ptr<Inbox> make_inbox(Scheduler& scheduler) {
  return scheduler.inbox = std::make_shared<Inbox>();
}

}  // namespace

Loop::Loop(const LoopOptions& options)
    : clock_(options.clock),
      ring_(make_inbox(*this)->event_fd()),
      spin_length_(options.spin),
      spin_(options.spin),
      slow_step_(options.slow_step),
      watchdog_limit_(options.watchdog) {
  Watchdog::check(watchdog_limit_);
  debug = options.debug.has_value() ? *options.debug : debug_in_environment();
  recent = now();
}

Loop::~Loop() = default;

void Loop::report(const ErrorReport& report) noexcept {
  if (exception_handler) {
    try {
      const auto handler = exception_handler;  // it may replace itself
      return handler(report);
    } catch (...) {
      log_error("the exception handler of a loop threw", std::current_exception(), {});
    }
  }
  log_error(report.message, report.error,
            report.source.valid() ? report.source.name() : std::string());
}

void Loop::check_open(std::string_view what) const {
  if (closed()) {
    throw LoopClosed(fmt::format("{}: this event loop is closed; make a new one", what));
  }
  if (ring_.forked()) {
    throw std::logic_error(fmt::format(
        "{}: this event loop belongs to the parent process; make a new one after fork()", what));
  }
}

void Loop::check_thread(std::string_view what) const {
  if (running() && current_scheduler != this) {
    throw std::logic_error(fmt::format(
        "{}: this event loop is running on another thread; use call_soon_threadsafe() there", what));
  }
}

void check_no_loop_runs(std::string_view what) {
  if (current_scheduler != nullptr) {
    throw std::logic_error(fmt::format(
        "{}: a loop is running on this thread already; use co_await or create_task() inside it",
        what));
  }
}

void Loop::check_can_run(std::string_view what) const {
  check_open(what);
  check_no_loop_runs(what);
  if (owner_ != std::thread::id() && owner_ != std::this_thread::get_id()) {
    throw std::logic_error(fmt::format(
        "{}: this event loop belongs to the thread that ran it first; run it there, or make a loop "
        "for each thread",
        what));
  }
}

void Loop::run_forever() {
  const Running running(*this);
  do {
    iterate();
  } while (!stopping_);
}

void Loop::run_until_done(FutureState& state, bool obey_stop) {
  // On the heap, since an error of the ring may end this function while it is on its way here.
  struct Done final : FutureWaiter {
    void run() noexcept override {
      over = true;
      if (left_behind) delete this;
    }
    void refuse() noexcept override {
      if (left_behind) delete this;
    }
    bool over = false;
    bool left_behind = false;  // nobody waits any more: it is its own
  };
  struct Wait {
    explicit Wait(FutureState& awaited) : state(awaited), done(std::make_unique<Done>()) {}
    ~Wait() {
      if (done->over || leave()) return;
      done->left_behind = true;
      static_cast<void>(done.release());
    }
    // False: it has come, or is on its way.
    bool leave() noexcept {
      if (linked && !state.remove_waiter(*done)) return false;
      linked = false;
      return true;
    }
    FutureState& state;
    std::unique_ptr<Done> done;
    bool linked = false;
  };
  Wait wait(state);
  wait.done->home = inbox.get();
  wait.linked = state.add_waiter(*wait.done);
  if (!wait.linked) return;
  const Running running(*this);
  while (!wait.done->over && !stopping_) {
    iterate();
    if (!obey_stop) stopping_ = false;
  }
  while (!wait.done->over && !wait.leave()) iterate();
  if (!wait.done->over) {
    throw InvalidStateError(
        "the event loop was stopped before the task had ended; stop() only what run_forever() runs, "
        "or run it again");
  }
}

bool Loop::run_until_no_tasks(Limit limit) {
  struct Deadline final : TimerNode {
    explicit Deadline(TimerHeap& heap) noexcept : timers(heap) {}
    ~Deadline() {
      if (armed()) timers.disarm(*this);
    }
    void due(Scheduler&) noexcept override { passed = true; }
    void run() noexcept override {}
    void refuse() noexcept override {}
    TimerHeap& timers;
    bool passed = false;
  };
  Deadline deadline(timers);
  if (limit.has_value()) timers.arm(deadline, saturating_add(now(), limit.value()));
  const Running running(*this);
  while (tasks != nullptr || asked != nullptr) {
    if (deadline.passed && offloaded != 0) return false;
    // One wave at a time: a task that is asked passes it on, and what it reaches is not asked again.
    while (tasks != nullptr && put_off == 0) tasks->ask_to_end();
    iterate();
    stopping_ = false;  // a stop() that came late ends nothing here
  }
  return true;
}

void Loop::stop() noexcept {
  if (current_scheduler == this) {
    stopping_ = true;
  } else if (!stop_node_.posted.exchange(true, std::memory_order_acq_rel)) {
    if (!inbox->push(stop_node_)) stop_node_.refuse();
  }
}

void Loop::iterate() {
  if (++iterations_ % look_period == 0) {
    ring_.poll();
    recent = now();
  }
  fire_timers();
  collect();
  if (ready.empty() && !stopping_) {
    sleep();
    fire_timers();
    collect();
  }
  count_beat();
  run_ready();
  count_beat();
}

void Loop::run_ready() {
  Node* node = ready.take();
  if (debug) [[unlikely]] return run_timed(node);
  while (node != nullptr) {
    Node* next = node->next;  // the node may be gone, or queued anew, when it has run
    node->run();
    node = next;
  }
}

// By the real clock, whatever clock the loop has.
void Loop::run_timed(Node* node) {
  while (node != nullptr) {
    Node* next = node->next;
    const std::type_info& type = typeid(*node);
    step_.begin();
    const TimePoint begin = Clock::now();
    node->run();
    const std::chrono::nanoseconds length = Clock::now() - begin;
    if (length >= slow_step_) step_.report(*this, length, type);
    node = next;
  }
  step_.begin();  // keeps no task
}

void Loop::fire_timers() noexcept {
  if (timers.empty()) return;
  const TimePoint time = now();
  while (!timers.empty() && timers.next_due() <= time) timers.pop().due(*this);
}

void Loop::collect() noexcept {
  ready.append(inbox->take());
  if (watches_.empty()) return;
  for (const auto& watch : watches_) {
    if (watch->source->has_mail()) watch->source->collect();
  }
  forget_sources();
}

bool Loop::has_mail() noexcept {
  if (inbox->has_mail()) return true;
  for (const auto& watch : watches_) {
    if (watch->source->has_mail()) return true;
  }
  return false;
}

// The sources first: they stay armed without harm if the inbox says no.
bool Loop::fall_asleep() {
  for (const auto& watch : watches_) {
    if (!watch->in_flight()) ring_.poll_once(*watch, watch->source->event_fd(), POLLIN);
    if (!watch->source->fall_asleep()) return false;
  }
  return inbox->fall_asleep();
}

void Loop::Watch::complete(int, std::uint32_t) noexcept { source->reset_event(); }

void Loop::add_source(std::shared_ptr<CompletionSource> source) {
  watches_.push_back(std::make_unique<Watch>(std::move(source)));
  watches_.back()->source->attach();
}

void Loop::forget_sources() noexcept {
  for (std::size_t i = 0; i < watches_.size();) {
    Watch& watch = *watches_[i];
    if (!watch.source->ended()) {
      ++i;
    } else if (watch.in_flight()) {
      watch.source->wake();  // the poll ends, and the watch with it
      ++i;
    } else {
      watches_.erase(watches_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

void Loop::sleep() {
  std::optional<TimePoint> due;
  // The end of time is never reached: a call or sleep without limit.
  if (!timers.empty() && timers.next_due() != TimePoint::max()) due = timers.next_due();
  if (clock_ != nullptr && due.has_value()) {
    if (offloaded == 0 && !has_mail()) {
      clock_->advance_to(*due);
      recent = now();
      return;
    }
    due.reset();  // virtual time stands still while something runs elsewhere
  }
  if (offloaded != 0 && may_spin(due) && spin_.until([this] { return has_mail(); })) return;
  if (!fall_asleep()) return;
  ++sleeps_;
  if (due.has_value()) {
    ring_.wait(coalesced(*due));
    if (inbox->is_asleep()) last_timer_wake_ = Clock::now();
  } else {
    ring_.wait();
  }
  recent = now();
}

// Not past a timer.
bool Loop::may_spin(std::optional<TimePoint> due) const noexcept {
  return !due.has_value() || *due > saturating_add(now(), spin_length_);
}

TimePoint Loop::coalesced(TimePoint due) const noexcept {
  if (timers.size() <= crowd) return due;
  return std::max(due, last_timer_wake_ + timer_gap);
}

void Loop::refuse_chain(Node* chain) noexcept {
  while (chain != nullptr) {
    Node* next = chain->next;
    chain->refuse();
    chain = next;
  }
}

void Loop::refuse_arrivals() noexcept {
  Node* chain = ready.take();
  if (chain == nullptr) chain = inbox->take();
  if (chain == nullptr) {
    inbox->wait();
    chain = inbox->take();
  }
  refuse_chain(chain);
}

namespace {

// Without waiting; closing a loop cannot fail half-way.
void stop_quietly(Executor* executor) noexcept {
  if (executor == nullptr) return;
  try {
    executor->shutdown({.wait = false});
  } catch (...) {
    log_error("the stop() of a default executor threw while its loop was closed; it must not",
              std::current_exception(), {});
  }
}

}  // namespace

void Loop::close() {
  if (closed()) return;
  if (running() || current_scheduler == this) {
    throw std::logic_error("close: the event loop is running; stop() it first");
  }
  closed_.store(true, std::memory_order_release);
  if (ring_.forked()) {
    // A child of fork(): the frames are copies, the kernel side is the parent's. So are the threads
    // of the default executor, whose destructor would wait for them: it is leaked.
    inbox->abandon_after_fork();
    static_cast<void>(new std::shared_ptr<Executor>(std::move(default_executor)));
    static_cast<void>(new std::shared_ptr<Executor>(std::move(default_process_pool)));
    return;
  }
  refuse_chain(ready.take());
  refuse_chain(inbox->take());
  // Each task's outermost frame owns those of its children, so they go root first. Their awaiters
  // take their timers and waiters away, and wait for what other threads still hold.
  while (tasks != nullptr) tasks->abandon();
  while (asked != nullptr) asked->abandon();
  while (!timers.empty()) timers.pop().refuse();
  refuse_chain(ready.take());
  stop_quietly(default_executor.get());
  stop_quietly(default_process_pool.get());
  default_executor.reset();
  default_process_pool.reset();
  refuse_chain(inbox->close());
  for (const auto& watch : watches_) watch->source->loop_closed();
  if (!ring_.close()) {
    for (auto& watch : watches_) static_cast<void>(watch.release());
    static_cast<void>(descriptors.release());
    log_error("closing a loop: the kernel still holds operations; their memory is leaked", nullptr,
              {});
  }
}

void Loop::give_up() noexcept {
  leave_default_executor();
  closed_.store(true, std::memory_order_release);
}

LoopCounters Loop::counters() const noexcept {
  return {.iterations = iterations_,
          .sleeps = sleeps_,
          .wakes = inbox->wakes(),
          .timers = timers.size()};
}

}  // namespace siding::detail
