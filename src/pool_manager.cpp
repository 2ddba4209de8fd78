// SPDX-License-Identifier: MIT
// The manager of a process pool: makes workers, hears of their deaths, kills, and takes the results
// that no running loop awaits. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include "live_rings.hpp"
#include "signals_blocked.hpp"
#include "usable_cpus.hpp"
#include "zygote_main.hpp"

#include <siding/error.hpp>
#include <siding/log.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace siding::detail {

namespace {

thread_local const PoolCore* manager_thread = nullptr;  // the pool that this thread manages

timespec time_until(std::optional<TimePoint> when) noexcept {
  if (!when.has_value()) return {};
  const std::chrono::nanoseconds left =
      std::clamp<std::chrono::nanoseconds>(*when - Clock::now(), {}, std::chrono::hours(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

}  // namespace

// With the lock. Throws std::system_error.
void PoolCore::start_manager() {
  Home& home = homes_[0];
  home.event = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!home.event) {
    throw std::system_error(errno, std::system_category(), "eventfd for a process pool");
  }
  const SignalsBlocked signals;
  manager_ = std::thread(&PoolCore::manage, this);
  manager_runs_ = true;
}

void PoolCore::wake_manager() noexcept {
  const std::uint64_t one = 1;
  // Full: it is awake, or about to be.
  if (homes_[0].event) static_cast<void>(!::write(homes_[0].event.get(), &one, sizeof one));
}

bool PoolCore::is_manager() const noexcept { return manager_thread == this; }

void PoolCore::manage() noexcept {
  manager_thread = this;
  std::vector<pollfd> polled;
  std::vector<std::uint32_t> channels;
  Workers printing;
  for (;;) {
    std::optional<TimePoint> deadline;
    {
      Lock lock(mutex_);
      manager_sleeps_until_ = TimePoint::min();
      while (starts_wanted_ != 0 && !broken_ && Clock::now() >= next_start_) start_worker(lock);
      fail_overdue(lock);
      look_at_calls(lock);
      kill_the_mad();
      if (queued_ != 0) pump(lock);
      steal(lock);
      if (queued_ != 0) pump(lock);
      release_memory(lock);
      retire_those_due(lock);
      write_notices(lock);
      answer_closings(lock, false);
      if (options_.sandbox.has_value()) wake_loops_again();
      if (stopping_ && workers_.empty() && queued_ == 0 && settling_ == 0) break;
      // Who changed something while the lock was let go has woken the manager.
      deadline = next_deadline();
      manager_sleeps_until_ = deadline.value_or(TimePoint::max());
      channels.assign(1, 0);
      for (std::uint32_t i = 1; i < channel_count; ++i) {
        if (homes_[i].event && (!homes_[i].attached || stopping_)) channels.push_back(i);
      }
      if (options_.output == Output::relay) printing = workers_;
    }
    bool waiting = false;
    for (const std::uint32_t channel : channels) waiting |= !fall_asleep(channel);
    polled.clear();
    polled.push_back({connection_.get(), POLLIN, 0});  // ignored by the kernel if there is none
    for (const std::uint32_t channel : channels) {
      polled.push_back({homes_[channel].event.get(), POLLIN, 0});
    }
    for (const std::shared_ptr<PoolWorker>& worker : printing) {
      for (std::size_t stream = 0; stream != 2; ++stream) {
        polled.push_back({worker->output->descriptor(stream), POLLIN, 0});
      }
    }
    // Beside its socket, which a forked child of the program may hold open.
    polled.push_back({zygote_ != nullptr ? zygote_->handle() : -1, POLLIN, 0});
    const timespec left = time_until(deadline);
    const timespec none{};
    ::ppoll(polled.data(), polled.size(), waiting ? &none : (deadline ? &left : nullptr), nullptr);
    std::size_t next = 1;
    for (const std::uint32_t channel : channels) {
      if (polled[next++].revents != 0) take_event(channel);
    }
    for (const std::shared_ptr<PoolWorker>& worker : printing) {
      for (std::size_t stream = 0; stream != 2; ++stream) {
        if (polled[next++].revents != 0) worker->output->read(stream);
      }
    }
    for (const std::uint32_t channel : channels) collect(channel);
    if (polled[0].revents != 0) {
      Lock lock(mutex_);
      hear_zygote(lock);
    }
    if (polled.back().revents != 0 && zygote_ != nullptr) {
      Lock lock(mutex_);
      hear_the_last_of_zygote(lock);
    }
  }
  Zygote::disconnect(std::move(connection_));
  zygote_.reset();  // the last pool waits here for the zygote's end
  Lock lock(mutex_);
  ended_flag_.store(true, std::memory_order_release);
  manager_runs_ = false;
  ended_.notify_all();
  answer_closings(lock, true);
}

// The manager.
void PoolCore::take_event(std::uint32_t channel) noexcept {
  std::uint64_t count = 0;
  const int event = homes_[channel].event.get();
  if (::read(event, &count, sizeof count) < 0) return;
  const Lock lock(mutex_);
  // It was for the loop, which began to run meanwhile.
  if (homes_[channel].attached && !stopping_) static_cast<void>(!::write(event, &count, sizeof count));
}

// With the lock. What a worker writes can only be nonsense if a function has scribbled over its memory.
void PoolCore::note_madness(PoolWorker& worker) noexcept {
  worker.mad = true;
  wake_manager();
}

// With the lock.
void PoolCore::kill_the_mad() noexcept {
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->mad || worker->killed) send_death(*worker);
  }
}

// With the lock. A worker that is not to be trusted may have taken the word from a loop which another one
// had woken: they share the eventfd.
void PoolCore::wake_loops_again() noexcept {
  for (std::uint32_t channel = 1; channel < channel_count; ++channel) {
    if (!homes_[channel].attached) continue;
    for (const std::shared_ptr<PoolWorker>& worker : workers_) {
      if (worker->region->channels[channel].tail.load(std::memory_order_relaxed) ==
          worker->collected[channel].load(std::memory_order_relaxed)) {
        continue;
      }
      const std::uint64_t one = 1;
      static_cast<void>(!::write(homes_[channel].event.get(), &one, sizeof one));
      break;
    }
  }
}

// With the lock, of which it lets go: the log's sink is user code.
void PoolCore::write_notices(Lock& lock) noexcept {
  while (!notices_.empty()) {
    const std::vector<std::string> lines = std::exchange(notices_, {});
    lock.unlock();
    for (const std::string& line : lines) log(line);
    lock.lock();
  }
}

// With the lock, which it lets go of: for a large piece it takes a while.
void PoolCore::release_memory(Lock& lock) noexcept {
  for (std::size_t i = 0; i < workers_.size();) {
    const std::shared_ptr<PoolWorker> worker = workers_[i];
    while (!worker->released.empty()) {
      const PoolWorker::Piece piece = worker->released.back();
      worker->released.pop_back();
      lock.unlock();
      Region::release(worker->region.requests(), piece.offset, piece.size);
      lock.lock();
      worker->requests.give_back(piece.offset);
      worker->requests_full = false;
      if (queued_ != 0) pump(lock);
    }
    i = i < workers_.size() && workers_[i] == worker ? i + 1 : 0;
  }
}

PoolCore::PoolCore(ProcessPoolOptions options)
    : options_(std::move(options)),
      max_workers_(options_.max_workers.value_or(usable_cpus())),
      forks_(fork_generation.load(std::memory_order_relaxed)) {
  watch_forks();
  idle_.reserve(max_workers_);
  if (options_.start == StartMethod::snapshot && !in_zygote()) zygote_ = Zygote::of_snapshot();
}

// Any thread.
void PoolCore::check_usable() const {
  Zygote::check_is_no_worker();
  if (fork_generation.load(std::memory_order_relaxed) != forks_) {
    throw ProcessPoolUnavailable(
        "this process pool belongs to the parent process; make a new one after fork()");
  }
}

PoolCore::~PoolCore() = default;

std::size_t PoolCore::worker_count() const noexcept {
  const Lock lock(mutex_);
  return workers_.size() + starts_wanted_ + starting_;
}

bool PoolCore::healthy() const noexcept {
  const Lock lock(mutex_);
  return !broken_ && !stopping_ && failed_starts_ == 0;
}

ProcessPoolStatistics PoolCore::statistics() const noexcept {
  const Lock lock(mutex_);
  ProcessPoolStatistics now = counts_;
  now.workers = workers_.size() + starts_wanted_ + starting_;
  now.queued = queued_;
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    const std::size_t unfinished = worker->unfinished();
    ++(unfinished != 0 ? now.busy : now.idle);
    std::size_t running = 0;
    for (std::uint32_t slot = 0; slot < slot_count && running == 0; ++slot) {
      if (worker->calls[slot].node == nullptr) continue;
      const SlotState state = worker->region->slots[slot].state.load(std::memory_order_relaxed);
      if (state == SlotState::running || state == SlotState::killing) running = 1;
    }
    now.running += running;
    now.queued += unfinished - std::min(unfinished, running);
  }
  return now;
}

}  // namespace siding::detail
