// SPDX-License-Identifier: MIT
// What is told of a worker that has died. See pool_core.hpp for who runs what.
#include "pool_core.hpp"

#include "crash_page.hpp"
#include "limit_text.hpp"

#include <siding/cancellation.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <sys/wait.h>

#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace siding::detail {

CrashDetails PoolCore::crash_details(const PoolWorker& worker, const std::string& call,
                                     const std::optional<Death>& death) const {
  CrashDetails details;
  details.pid = worker.pid;
  details.call = call;
  if (worker.output != nullptr) details.last_output = worker.output->tail();
  if (!death.has_value()) return details;
  details.usage = death->usage;
  if (WIFSIGNALED(death->status)) {
    details.signal = WTERMSIG(death->status);
  } else {
    details.exit_status = WEXITSTATUS(death->status);
  }
  std::optional<CrashReport> report = read_crash(worker.region->crash);
  if (!report.has_value()) return details;
  if (report->signal != 0) details.signal = report->signal;  // see CrashReport
  details.fault_address = report->address;
  details.message = std::move(report->text);
  for (const std::string& frame : report->backtrace) details.backtrace.append(frame).append("\n");
  return details;
}

std::string PoolCore::crash_text(const PoolWorker& worker, const CrashDetails& details,
                                 const std::optional<Death>& death) const {
  std::string how = "was killed together with its zygote";
  if (death.has_value()) how = text_of_status(death->status);
  if (details.fault_address.has_value()) {
    how += fmt::format(" at address {:#x}", *details.fault_address);
  }
  if (death.has_value() && worker.mad && details.signal != 0) {
    how += ", because it had scribbled over the memory that it shares with the program,";
  }
  std::string text = fmt::format("worker process {} of pool {} {} ", details.pid, options_.name, how);
  if (details.call.empty()) {
    text += "before its first call";
  } else {
    text += fmt::format("while it ran {}", details.call);
  }
  if (details.attempt > 1) text += fmt::format(" (attempt {})", details.attempt);
  if (!details.message.empty()) text += fmt::format(": {}", details.message);
  return text;
}

// `node`: the call that it ran; null: none.
std::exception_ptr PoolCore::crash_error(const PoolWorker& worker, const JobNode* node,
                                         const std::optional<Death>& death) const {
  CrashDetails details = crash_details(worker, node != nullptr ? name_of(*node) : std::string(), death);
  if (node == nullptr && details.exit_status == cannot_start) {
    // One copy: the worker is dead, but its memory is anybody's who had it.
    char reason[sizeof(RegionHeader::start_error)];
    std::memcpy(reason, worker.region->header.start_error, sizeof reason);
    return std::make_exception_ptr(BrokenExecutor(
        fmt::format("worker process {} of pool {} could not be set up: {}", worker.pid, options_.name,
                    std::string_view(reason, ::strnlen(reason, sizeof reason)))));
  }
  bool poisoned = false;
  if (node != nullptr && node->limits != nullptr) {
    const CallLimits& limits = *node->limits;
    details.attempt = static_cast<unsigned>(limits.deaths.size() + 1);
    poisoned = details.attempt >= options_.poison_limit && details.attempt <= limits.retries;
    for (const std::exception_ptr& before : limits.deaths) {
      try {
        std::rethrow_exception(before);
      } catch (const WorkerCrashed& crash) {
        CrashDetails own = crash.details();
        own.earlier.clear();  // they are here already
        details.earlier.emplace_back(crash.what(), std::move(own));
      }
    }
  }
  std::string text = crash_text(worker, details, death);
  if (!poisoned) return std::make_exception_ptr(WorkerCrashed(text, std::move(details)));
  text += fmt::format(". It has killed {} workers, and poison_limit allows no more", details.attempt);
  return std::make_exception_ptr(PoisonCall(text, std::move(details)));
}

// A call whose worker the pool has ended.
std::exception_ptr PoolCore::ended_error(const PoolWorker& worker, const JobNode& node,
                                         Ending why) const {
  switch (why) {
    case Ending::timed_out:
      return late_error(node, worker.pid);
    case Ending::killed:
      if (broken_) return broken_error();
      return std::make_exception_ptr(Cancelled("the process pool was killed"));
    case Ending::none:
    case Ending::cancelled:
      break;
  }
  return std::make_exception_ptr(Cancelled("its worker process was ended"));
}

}  // namespace siding::detail
