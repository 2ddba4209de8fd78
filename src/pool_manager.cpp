// SPDX-License-Identifier: MIT
// The manager of a process pool: makes workers, hears of their deaths, kills, and takes the results
// that no running loop awaits. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include "live_rings.hpp"
#include "signals_blocked.hpp"
#include "spin.hpp"
#include "zygote_main.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace siding::detail {

namespace {

thread_local const PoolCore* manager_thread = nullptr;  // the pool that this thread manages

// Chosen: what must go wrong in a row before a call could be begun, until the pool gives up; and how
// long it waits between such starts, doubled each time.
constexpr unsigned patience = 5;
constexpr std::chrono::milliseconds first_pause{10};

// The text of an error that another start would meet as well; else empty.
std::string why_unavailable(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ProcessPoolUnavailable& unavailable) {
    return unavailable.what();
  } catch (...) {
    return {};
  }
}

int milliseconds_until(std::optional<TimePoint> when) noexcept {
  if (!when.has_value()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*when - Clock::now()).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 60'000));
}

}  // namespace

/// The first call of each worker, where the pool has an initializer.
class InitializerCall final : public JobNode {
 public:
  InitializerCall(PoolCore& core, std::shared_ptr<PoolWorker> worker, void (*function)())
      : core_(core), worker_(std::move(worker)), function_(function) {}

  const PortableCall& portable() const noexcept override {
    return portable_call<BoundCall<void (*)()>>();
  }
  void encode(WireWriter& out) override {
    BoundCall<void (*)()> call(std::in_place, function_);
    encode_call(call, out);
  }
  void settle(WireReader&) noexcept override {
    const std::unique_ptr<InitializerCall> self(this);
    PoolCore::Lock lock(core_.mutex_);
    worker_->initialized = true;
    if (worker_->state == PoolWorker::State::dead) return;
    core_.idle_.push_back(worker_.get());
    core_.pump(lock);
  }
  void settle(std::exception_ptr error) noexcept override {
    PoolCore& core = core_;
    delete this;
    log_error("the initializer of a process pool threw; the pool is broken", error,
              core.options_.name);
    PoolCore::Lock lock(core.mutex_);
    core.break_pool(lock, std::move(error));
  }
  void let_go(std::exception_ptr) noexcept override { delete this; }
  Inbox* awaited_by() const noexcept override { return nullptr; }
  std::string_view call_name() const noexcept override { return "the pool's initializer"; }

  void execute() noexcept override { delete this; }
  void fail(std::exception_ptr) noexcept override { delete this; }
  void drop() noexcept override { delete this; }
  void run() noexcept override {}
  void refuse() noexcept override {}

 private:
  PoolCore& core_;
  const std::shared_ptr<PoolWorker> worker_;
  void (*const function_)();
};

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
  for (;;) {
    std::optional<TimePoint> deadline;
    {
      Lock lock(mutex_);
      while (starts_wanted_ != 0 && !broken_ && Clock::now() >= next_start_) start_worker(lock);
      kill_what_is_due();
      kill_the_mad();
      if (queued_ != 0) pump(lock);
      steal(lock);
      if (queued_ != 0) pump(lock);
      release_memory(lock);
      retire_idle();
      if (stopping_ && workers_.empty() && queued_ == 0 && settling_ == 0) break;
      deadline = next_deadline();
      channels.assign(1, 0);
      for (std::uint32_t i = 1; i < channel_count; ++i) {
        if (homes_[i].event && (!homes_[i].attached || stopping_)) channels.push_back(i);
      }
    }
    bool waiting = false;
    for (const std::uint32_t channel : channels) waiting |= !fall_asleep(channel);
    polled.clear();
    polled.push_back({connection_.get(), POLLIN, 0});  // ignored by the kernel if there is none
    for (const std::uint32_t channel : channels) {
      polled.push_back({homes_[channel].event.get(), POLLIN, 0});
    }
    // Beside its socket, which a forked child of the program may hold open.
    polled.push_back({zygote_ != nullptr ? zygote_->handle() : -1, POLLIN, 0});
    ::poll(polled.data(), polled.size(), waiting ? 0 : milliseconds_until(deadline));
    for (std::size_t i = 1; i <= channels.size(); ++i) {
      if (polled[i].revents != 0) take_event(channels[i - 1]);
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
  const Lock lock(mutex_);
  ended_flag_.store(true, std::memory_order_release);
  manager_runs_ = false;
  ended_.notify_all();
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

// With the lock, which it lets go of while it asks the zygote.
void PoolCore::start_worker(Lock& lock) {
  if (zygote_ != nullptr && !zygote_->alive()) {
    return hear_the_last_of_zygote(lock);  // the manager looks again what is wanted
  }
  --starts_wanted_;
  if (queued_ == 0) return;  // others were faster
  ++starting_;
  auto worker = std::make_shared<PoolWorker>(next_token_++);
  std::vector<int> passed;
  std::uint32_t known = 1;
  for (std::uint32_t i = 1; i < channel_count; ++i) {
    // In order, so that the worker knows which is which.
    if (!homes_[i].event || known != (1U << i) - 1) break;
    known |= 1U << i;
  }
  worker->channels_known = known;
  const bool backlog = backlog_;
  lock.unlock();
  std::exception_ptr error;
  try {
    if (zygote_ == nullptr) {
      zygote_ = Zygote::get();
      connection_ = zygote_->connect();
    }
    FileDescriptor memory;
    worker->region = Region::create(memory);
    worker->requests = Arena(worker->region.arena_size());
    RegionHeader& header = worker->region->header;
    header.spin_nanoseconds = static_cast<std::uint64_t>(options_.spin.count());
    header.backlog.store(backlog ? 1 : 0, std::memory_order_relaxed);
    options_.name.copy(header.name, sizeof header.name - 1);
    for (Channel& channel : worker->region->channels) {
      channel.armed.store(1, std::memory_order_relaxed);
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      throw std::system_error(errno, std::system_category(), "socket for a worker process");
    }
    worker->control = FileDescriptor(ends[0]);
    const FileDescriptor theirs(ends[1]);
    passed = {memory.get(), theirs.get()};
    for (std::uint32_t i = 0; i < channel_count && (known & (1U << i)) != 0; ++i) {
      passed.push_back(homes_[i].event.get());
    }
    const ZygoteMessage message{ZygoteRequest::spawn, worker->token};
    if (!send_message(connection_.get(), &message, sizeof message, passed)) {
      throw std::system_error(errno, std::system_category(), "asking for a worker process");
    }
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  --starting_;
  if (error) return start_failed(lock, nullptr, std::move(error));
  // It takes calls at once: they lie in its slots when it begins.
  workers_.push_back(worker);
  generation_.fetch_add(1, std::memory_order_release);
  worker->initialized = options_.initializer == nullptr;
  if (worker->initialized) {
    idle_.push_back(worker.get());
  } else {
    hand_over(lock, worker, *new InitializerCall(*this, worker, options_.initializer));
  }
  pump(lock);
}

// With the lock.
void PoolCore::start_failed(Lock& lock, const std::shared_ptr<PoolWorker>& worker,
                            std::exception_ptr error) noexcept {
  if (worker != nullptr) bury(lock, worker, std::nullopt);
  // Capped: while other workers live, there is no end to the tries.
  next_start_ = Clock::now() + first_pause * (1U << std::min(failed_starts_, patience));
  ++failed_starts_;
  std::string unavailable = why_unavailable(error);
  const bool hopeless = failed_starts_ >= patience && workers_.empty();
  if (hopeless || !unavailable.empty()) {
    if (!broken_) unavailable_ = std::move(unavailable);
    return break_pool(lock, std::move(error));
  }
  if (queued_ != 0 && starts_wanted_ == 0 && workers_.size() < max_workers_) starts_wanted_ = 1;
}

// With the lock.
void PoolCore::hear_zygote(Lock& lock) {
  for (;;) {
    ZygoteReport report;
    Received received =
        receive_message(connection_.get(), &report, sizeof report, MSG_DONTWAIT);
    if (received.size < 0) return;
    if (received.size != static_cast<long>(sizeof report)) return lose_zygote(lock);
    const auto found = std::find_if(workers_.begin(), workers_.end(), [&report](const auto& worker) {
      return worker->token == report.token;
    });
    if (found == workers_.end()) continue;
    const std::shared_ptr<PoolWorker> worker = *found;
    if (report.answer == ZygoteAnswer::exited) {
      bury(lock, worker, report.code);
    } else if (report.pid < 0) {
      start_failed(lock, worker,
                   std::make_exception_ptr(std::system_error(report.code, std::system_category(),
                                                             "forking a worker process")));
    } else {
      worker->pid = report.pid;
      // Without it, because of a limit of descriptors there, one of our own.
      worker->handle = received.count == 1
                           ? std::move(received.descriptors[0])
                           : FileDescriptor(static_cast<int>(
                                 ::syscall(SYS_pidfd_open, static_cast<pid_t>(report.pid), 0)));
      if (worker->state == PoolWorker::State::starting) worker->state = PoolWorker::State::alive;
      send_death(*worker);
    }
  }
}

// With the lock. The zygote is gone, and may have said something before.
void PoolCore::hear_the_last_of_zygote(Lock& lock) {
  hear_zygote(lock);
  if (zygote_ != nullptr) lose_zygote(lock);
}

// With the lock. The zygote was killed. The kernel kills its workers, but none that has changed its
// user or has asked for no such signal.
void PoolCore::lose_zygote(Lock& lock) {
  connection_ = FileDescriptor();
  const Workers lost = workers_;
  for (const std::shared_ptr<PoolWorker>& worker : lost) {
    worker->doomed = true;
    send_death(*worker);
  }
  for (const std::shared_ptr<PoolWorker>& worker : lost) {
    if (worker->handle) {
      pollfd gone{worker->handle.get(), POLLIN, 0};
      ::poll(&gone, 1, 1000);
    }
    bury(lock, worker, std::nullopt);
  }
  zygote_.reset();
}

// With the lock.
void PoolCore::kill_what_is_due() noexcept {
  const TimePoint now = Clock::now();
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      const PoolWorker::Call& call = worker->calls[slot];
      if (call.node != nullptr && call.kill_at <= now) kill(*worker, slot);
    }
  }
}

// With the lock. What a worker writes can only be nonsense if a function has scribbled over its memory.
void PoolCore::note_madness(PoolWorker& worker) noexcept {
  worker.mad = true;
  wake_manager();
}

// With the lock.
void PoolCore::kill_the_mad() noexcept {
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->mad) send_death(*worker);
  }
}

// With the lock.
std::optional<TimePoint> PoolCore::next_deadline() const noexcept {
  TimePoint next = TimePoint::max();
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    for (const PoolWorker::Call& call : worker->calls) {
      if (call.node != nullptr) next = std::min(next, call.kill_at);
    }
  }
  if (starts_wanted_ != 0 && !broken_) next = std::min(next, next_start_);
  if (next == TimePoint::max()) return std::nullopt;
  return next;
}

// With the lock: a pool that ends lets those workers go that have nothing to do.
void PoolCore::retire_idle() noexcept {
  if (!stopping_ && !broken_) return;
  if (queued_ != 0) return;
  for (const std::shared_ptr<PoolWorker>& worker : workers_) {
    if (worker->outstanding != 0 || worker->state == PoolWorker::State::retiring) continue;
    worker->state = PoolWorker::State::retiring;
    std::erase(idle_, worker.get());
    RegionHeader& header = worker->region->header;
    header.retire.store(1, std::memory_order_release);
    // seq_cst: as in publish().
    full_fence();
    if (header.asleep.exchange(0, std::memory_order_acq_rel) != 0) futex_wake(header.asleep);
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
}

// Any thread.
void PoolCore::check_usable() const {
  if (in_zygote()) Zygote::check_available();
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

}  // namespace siding::detail
