// SPDX-License-Identifier: MIT
#include <siding/process_pool.hpp>

#include "pool_core.hpp"
#include "zygote_main.hpp"

#include <cstddef>
#include <stdexcept>
#include <unistd.h>
#include <utility>

namespace siding {

namespace {

constexpr std::size_t most_workers = 4096;  // chosen: far beyond the processors of any machine

}  // namespace

ProcessPool::ProcessPool(ProcessPoolOptions options) {
  if (options.max_workers == 0U) {
    throw std::invalid_argument(
        "ProcessPoolOptions::max_workers must be at least 1; leave it out for the default");
  }
  if (options.max_workers > most_workers) {
    throw std::invalid_argument(
        "ProcessPoolOptions::max_workers must be at most 4096: each worker is a process, and more "
        "of them than processors do not compute faster");
  }
  // In a worker, pools with static storage duration are made too; there they only refuse calls.
  if (!detail::in_zygote()) detail::Zygote::check_available();
  core_ = std::make_shared<detail::PoolCore>(std::move(options));
}

ProcessPool::~ProcessPool() { stop({}); }

void ProcessPool::enqueue(Job job) { core_->enqueue(std::move(job)); }
Job ProcessPool::withdraw(Job::Id job) noexcept { return core_->withdraw(job); }
bool ProcessPool::stop(const ShutdownOptions& options) { return core_->stop(options); }
std::vector<std::string> ProcessPool::running_calls() const { return core_->running_calls(); }
std::size_t ProcessPool::max_workers() const noexcept { return core_->max_workers(); }
std::size_t ProcessPool::worker_count() const noexcept { return core_->worker_count(); }

}  // namespace siding
