// SPDX-License-Identifier: MIT
// How the workers of a process pool are made, and what the zygote says of them. All of it runs on the
// manager's thread.
#include "pool_core.hpp"

#include "worker_setup.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace siding::detail {

namespace {

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

// Chosen: what must go wrong in a row before a call could be begun, until the pool gives up; and how
// long it waits between such starts, doubled each time.
constexpr unsigned patience = 5;
constexpr std::chrono::milliseconds first_pause{10};

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
    if (worker_->outstanding == 0) core_.note_idle(*worker_);
    core_.pump(lock);
  }
  void settle(std::exception_ptr error) noexcept override {
    PoolCore& core = core_;
    delete this;
    if (is_cancelled(error)) return;  // the pool was killed
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
    get_zygote();
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
    ZygoteMessage message{ZygoteRequest::spawn, worker->token, 0, {}};
    if (options_.start == StartMethod::isolated) message.flags |= spawn_isolated;
    if (options_.kill_children) message.flags |= spawn_group;
    passed = {memory.get(), theirs.get(), setup_.get()};
    if (options_.output == Output::relay) {
      message.flags |= spawn_output;
      worker->output = std::make_unique<WorkerOutput>(options_.on_output, header.pid);
      header.output_magic = worker->output->magic();
      for (const FileDescriptor& end : worker->output->theirs) passed.push_back(end.get());
    }
    message.flags |= static_cast<std::uint32_t>(options_.pass_descriptors.size()) << spawn_extra_shift;
    passed.insert(passed.end(), options_.pass_descriptors.begin(), options_.pass_descriptors.end());
    for (std::uint32_t i = 0; i < channel_count && (known & (1U << i)) != 0; ++i) {
      passed.push_back(homes_[i].event.get());
    }
    if (!send_message(connection_.get(), &message, sizeof message, passed)) {
      throw std::system_error(errno, std::system_category(), "asking for a worker process");
    }
    if (worker->output != nullptr) worker->output->theirs = {};
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  --starting_;
  if (error) return start_failed(lock, nullptr, std::move(error));
  // It takes calls at once: they lie in its slots when it begins.
  workers_.push_back(worker);
  ++counts_.started;
  generation_.fetch_add(1, std::memory_order_release);
  worker->tasks_left = options_.max_tasks_per_child != 0 ? options_.max_tasks_per_child : SIZE_MAX;
  if (options_.max_age.has_value()) {
    worker->expires_at = saturating_add(Clock::now(), options_.max_age.value());
  }
  worker->initialized = options_.initializer == nullptr;
  if (worker->initialized) {
    note_idle(*worker);
  } else {
    hand_over(lock, worker, *new InitializerCall(*this, worker, options_.initializer));
  }
  pump(lock);
}

// Without the lock. Throws.
void PoolCore::get_zygote() {
  if (!setup_) {
    setup_ = make_setup_memory(setup_of(options_));
  }
  if (zygote_ == nullptr) {
    if (options_.start == StartMethod::snapshot) {
      zygote_ = Zygote::of_snapshot();
    } else {
      zygote_ = options_.init != nullptr ? Zygote::of_its_own() : Zygote::get();
    }
  }
  if (connection_) return;
  if (options_.start != StartMethod::isolated) zygote_->require_one_thread();
  if (options_.init != nullptr) {
    init_failed_ = true;
    zygote_->call(options_.init);
    init_failed_ = false;
  }
  connection_ = zygote_->connect();
}

// With the lock.
void PoolCore::start_failed(Lock& lock, const std::shared_ptr<PoolWorker>& worker,
                            std::exception_ptr error) noexcept {
  if (worker != nullptr) bury(lock, worker, std::nullopt);
  // Capped: while other workers live, there is no end to the tries.
  next_start_ = Clock::now() + first_pause * (1U << std::min(failed_starts_, patience));
  ++failed_starts_;
  std::string unavailable = why_unavailable(error);
  const bool hopeless = init_failed_ || (failed_starts_ >= patience && workers_.empty());
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
      ResourceUsage usage;
      usage.max_rss = static_cast<std::uint64_t>(report.max_rss_kib) * 1024;
      usage.user_time = std::chrono::microseconds(report.user_microseconds);
      usage.system_time = std::chrono::microseconds(report.system_microseconds);
      bury(lock, worker, Death{report.code, usage});
    } else if (report.pid < 0) {
      start_failed(lock, worker,
                   std::make_exception_ptr(std::system_error(report.code, std::system_category(),
                                                             "forking a worker process")));
    } else {
      worker->pid = report.pid;
      if (worker->output != nullptr) worker->output->set_pid(report.pid);
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
    worker->lost = true;
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

}  // namespace siding::detail
