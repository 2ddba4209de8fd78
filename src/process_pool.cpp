// SPDX-License-Identifier: MIT
#include <siding/process_pool.hpp>

#include "pool_core.hpp"
#include "sandbox.hpp"
#include "zygote_main.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

namespace siding {

namespace {

constexpr std::size_t most_descriptors = 8;  // chosen: what one message takes is bounded
constexpr std::size_t most_workers = 4096;  // chosen: far beyond the processors of any machine

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(std::string("ProcessPoolOptions::").append(what));
}

void check(const ProcessPoolOptions& options) {
  require(options.max_workers != 0U, "max_workers must be at least 1; leave it out for the default");
  require(options.max_workers.value_or(1) <= most_workers,
          "max_workers must be at most 4096: each worker is a process, and more of them than processors do "
          "not compute faster");
  require(options.min_workers <= options.max_workers.value_or(most_workers),
          "min_workers must be at most max_workers");
  require(options.poison_limit != 0, "poison_limit must be at least 1");
  require(options.init == nullptr || options.start != StartMethod::isolated,
          "init does not go with StartMethod::isolated, where workers are not copies of one process: use "
          "initializer");
  require(!options.on_output || options.output == Output::relay,
          "on_output is called only where output is Output::relay");
  if (options.sandbox.has_value()) detail::check_sandbox(*options.sandbox);
  require(options.pass_descriptors.size() <= most_descriptors,
          "pass_descriptors must be at most 8; pass a socket over which others can be sent");
  for (const int descriptor : options.pass_descriptors) {
    require(descriptor > STDERR_FILENO && descriptor < 1024 && ::fcntl(descriptor, F_GETFD) >= 0,
            "pass_descriptors must be open descriptors with numbers from 3 to 1023");
  }
  for (const int cpu : options.cpus) {
    require(cpu >= 0 && cpu < CPU_SETSIZE, "cpus must be numbers of CPUs, from 0 on");
  }
  for (const auto& [name, value] : options.environment) {
    require(!name.empty() && name.find('=') == std::string::npos,
            "environment must have names without '='");
  }
}

}  // namespace

ProcessPool::ProcessPool(ProcessPoolOptions options) {
  check(options);
  if (!options.working_directory.empty()) {
    options.working_directory = std::filesystem::absolute(options.working_directory).string();
  }
  // In a worker, pools with static storage duration are made too; there they only refuse calls.
  if (!detail::in_zygote() && options.start != StartMethod::snapshot) detail::Zygote::check_available();
  core_ = std::make_shared<detail::PoolCore>(std::move(options));
}

ProcessPool::~ProcessPool() { stop({}); }

void ProcessPool::enqueue(Job job) { core_->enqueue(std::move(job)); }
Job ProcessPool::withdraw(Job::Id job) noexcept { return core_->withdraw(job); }
bool ProcessPool::stop(const ShutdownOptions& options) { return core_->stop(options); }
std::vector<std::string> ProcessPool::running_calls() const { return core_->running_calls(); }
bool ProcessPool::can_end_calls() const noexcept { return true; }
Future<void> ProcessPool::close(ShutdownOptions options) { return core_->close(options); }
void ProcessPool::kill() noexcept { core_->kill(); }
bool ProcessPool::healthy() const noexcept { return core_->healthy(); }
ProcessPoolStatistics ProcessPool::statistics() const noexcept { return core_->statistics(); }
std::size_t ProcessPool::max_workers() const noexcept { return core_->max_workers(); }
std::size_t ProcessPool::worker_count() const noexcept { return core_->worker_count(); }

}  // namespace siding
