// SPDX-License-Identifier: MIT
#include <siding/limiter.hpp>

#include <siding/detail/job_node.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/job.hpp>

#include <cassert>
#include <mutex>
#include <stdexcept>

namespace siding {

namespace detail {

class LimiterCore {
 public:
  explicit LimiterCore(std::size_t total) noexcept : total_(total) {}

  bool borrow(JobNode& node) noexcept {
    const std::lock_guard lock(mutex_);
    if (borrowed_ < total_ && waiting_.empty()) {
      ++borrowed_;
      return true;
    }
    waiting_.push(JobAccess::make(node));
    ++waiters_;
    return false;
  }

  bool withdraw(JobNode& node) noexcept {
    const std::lock_guard lock(mutex_);
    Job job = waiting_.remove(static_cast<const JobNode*>(&node));
    if (!job) return false;
    JobAccess::release(std::move(job));
    --waiters_;
    return true;
  }

  void give_back() noexcept {
    const std::lock_guard lock(mutex_);
    --borrowed_;
    let_in();
  }

  void set_total(std::size_t total) noexcept {
    const std::lock_guard lock(mutex_);
    total_ = total;
    let_in();
  }

  std::size_t total() const noexcept { return read(total_); }
  std::size_t borrowed() const noexcept { return read(borrowed_); }
  std::size_t waiting() const noexcept { return read(waiters_); }

 private:
  std::size_t read(const std::size_t& number) const noexcept {
    const std::lock_guard lock(mutex_);
    return number;
  }

  // With the lock, so that those who wait are still there: their frames take them back first.
  void let_in() noexcept {
    while (borrowed_ < total_ && !waiting_.empty()) {
      JobNode& node = JobAccess::release(waiting_.pop());
      --waiters_;
      ++borrowed_;
      // A loop is closed only after its frames, and these wait for their nodes.
      [[maybe_unused]] const bool posted = post(*node.awaited_by(), node);
      assert(posted);
    }
  }

  mutable std::mutex mutex_;
  JobQueue waiting_;  // this and what follows is guarded by mutex_
  std::size_t total_;
  std::size_t borrowed_ = 0;
  std::size_t waiters_ = 0;
};

void LimiterPermit::give_back() noexcept {
  if (const std::shared_ptr<LimiterCore> core = std::exchange(core_, nullptr)) core->give_back();
}

bool LimiterAccess::borrow(Limiter& limiter, JobNode& node) noexcept {
  return limiter.core_->borrow(node);
}
bool LimiterAccess::withdraw(Limiter& limiter, JobNode& node) noexcept {
  return limiter.core_->withdraw(node);
}
void LimiterAccess::give_back(Limiter& limiter) noexcept { limiter.core_->give_back(); }

}  // namespace detail

namespace {

std::size_t checked(std::size_t total) {
  if (total == 0) {
    throw std::invalid_argument("the total of a Limiter must be at least 1, or no call would run");
  }
  return total;
}

}  // namespace

Limiter::Limiter(std::size_t total)
    : core_(std::make_shared<detail::LimiterCore>(checked(total))) {}
Limiter::~Limiter() = default;

std::size_t Limiter::total() const noexcept { return core_->total(); }
void Limiter::set_total(std::size_t total) { core_->set_total(checked(total)); }
std::size_t Limiter::borrowed() const noexcept { return core_->borrowed(); }
std::size_t Limiter::waiting() const noexcept { return core_->waiting(); }

}  // namespace siding
