// SPDX-License-Identifier: MIT
#include <siding/detail/error_report.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error_report.hpp>
#include <siding/cancellation.hpp>
#include <siding/detail/task_state.hpp>
#include <siding/error.hpp>
#include <siding/log.hpp>

#include "demangled.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <typeinfo>
#include <utility>

namespace siding::detail {

namespace {

/// An error on its way to the loop that shall hear of it.
struct ReportNode final : Node {
  ReportNode(std::string_view text, std::exception_ptr cause, AnyFuture from)
      : message(text), error(std::move(cause)), source(std::move(from)) {}

  void run() noexcept override {
    const std::unique_ptr<ReportNode> self(this);
    current_scheduler->report({message, error, source});
  }
  void refuse() noexcept override {
    const std::unique_ptr<ReportNode> self(this);
    log_error(message, error, source.valid() ? source.name() : std::string());
  }

  std::string message;
  std::exception_ptr error;
  AnyFuture source;
};

}  // namespace

bool is_cancelled(const std::exception_ptr& error) noexcept {
  // libstdc++'s own accessor: no throw, no catch. Cancelled is final.
  return error && *error.__cxa_exception_type() == typeid(Cancelled);
}

std::exception_ptr make_closed_error() noexcept {
  return std::make_exception_ptr(
      LoopClosed("the loop was closed while this task was waiting; wait for the task before the "
                 "loop is closed"));
}

std::string describe(const std::exception_ptr& error) {
  if (!error) return "no error";
  try {
    std::rethrow_exception(error);
  } catch (const RemoteError& exception) {
    return fmt::format("siding::RemoteError: {}", exception.what());  // which says where
  } catch (const WorkerCrashed& exception) {
    return fmt::format("siding::WorkerCrashed: {}", exception.what());  // the same
  } catch (const RemoteOrigin& exception) {
    return fmt::format("siding::RemoteOrigin: {}", exception.what());
  } catch (const std::exception& exception) {
    std::string text =
        fmt::format("{}: {}", demangled_error(typeid(exception).name()), exception.what());
    if (const std::optional<RemoteOrigin> origin = remote_origin(error)) {
      text += fmt::format(" ({})", origin->what());
    }
    return text;
  } catch (...) {
    return demangled_error(abi::__cxa_current_exception_type()->name());
  }
}

void log_error(std::string_view message, const std::exception_ptr& error,
               std::string_view source) noexcept {
  try {
    if (error == nullptr) {
      log(message);
    } else if (source.empty()) {
      log(fmt::format("{}: {}", message, describe(error)));
    } else {
      log(fmt::format("{}: {} (in {})", message, describe(error), source));
    }
  } catch (...) {
    log(message);
  }
}

void report_error(std::shared_ptr<Inbox> inbox, std::string_view message, std::exception_ptr error,
                  AnyFuture source) noexcept {
  Scheduler* here = current_scheduler;
  if (here != nullptr && (inbox == nullptr || here->inbox == inbox)) {
    return here->report({message, std::move(error), std::move(source)});
  }
  try {
    auto node = std::make_unique<ReportNode>(message, error, source);
    ReportNode* owned = node.release();
    if (inbox == nullptr || !inbox->push(*owned)) owned->refuse();
  } catch (const std::bad_alloc&) {
    log_error(message, error, {});
  }
}

}  // namespace siding::detail
