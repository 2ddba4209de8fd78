// SPDX-License-Identifier: MIT
#include <siding/error.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

// One out-of-line virtual each: their type information lives here, once.

namespace siding {

namespace {

std::string remote_text(std::string_view type_name, std::string_view message, pid_t pid,
                        std::string_view call) {
  std::string text(type_name);
  if (!message.empty()) text += fmt::format(": {}", message);
  text += fmt::format(" (thrown in process {}", pid);
  if (!call.empty()) text += fmt::format(" by {}", call);
  return text + ')';
}

std::string origin_text(pid_t pid, std::string_view call) {
  std::string text = fmt::format("in process {}", pid);
  if (!call.empty()) text += fmt::format(", call {}", call);
  return text;
}

}  // namespace

TimeoutError::~TimeoutError() = default;
ShutdownError::~ShutdownError() = default;
BrokenExecutor::~BrokenExecutor() = default;
WorkerCrashed::~WorkerCrashed() = default;
PoisonCall::~PoisonCall() = default;
ProcessPoolUnavailable::~ProcessPoolUnavailable() = default;
LoopClosed::~LoopClosed() = default;
Interrupted::~Interrupted() = default;
BrokenPromise::~BrokenPromise() = default;
InvalidStateError::~InvalidStateError() = default;
NoRunningLoop::~NoRunningLoop() = default;
WouldBlockLoop::~WouldBlockLoop() = default;
BrokenBarrier::~BrokenBarrier() = default;
QueueFull::~QueueFull() = default;
QueueEmpty::~QueueEmpty() = default;
QueueShutDown::~QueueShutDown() = default;
SerializationError::~SerializationError() = default;
NotPortable::~NotPortable() = default;
RemoteOrigin::~RemoteOrigin() = default;
RemoteError::~RemoteError() = default;

struct RemoteError::Origin {
  std::string type_name;
  std::string message;
  pid_t pid;
  std::string call;
};

RemoteError::RemoteError(std::string_view type_name, std::string_view message, pid_t pid,
                         std::string_view call)
    : std::runtime_error(remote_text(type_name, message, pid, call)),
      origin_(std::make_shared<const Origin>(
          Origin{std::string(type_name), std::string(message), pid, std::string(call)})) {}

const std::string& RemoteError::type_name() const noexcept { return origin_->type_name; }
const std::string& RemoteError::message() const noexcept { return origin_->message; }
pid_t RemoteError::pid() const noexcept { return origin_->pid; }
const std::string& RemoteError::call() const noexcept { return origin_->call; }

WorkerCrashed::WorkerCrashed(const std::string& text, CrashDetails details)
    : BrokenExecutor(text), details_(std::make_shared<const CrashDetails>(std::move(details))) {}

std::string WorkerCrashed::report() const {
  std::string lines = what();
  lines += '\n';
  const auto part = [&lines](std::string_view title, const std::string& text) {
    if (text.empty()) return;
    fmt::format_to(std::back_inserter(lines), "  {}:\n{}", title, text);
    if (text.back() != '\n') lines += '\n';
  };
  part("backtrace", details_->backtrace);
  part("last lines on standard error", details_->last_output);
  fmt::format_to(std::back_inserter(lines), "  used {:.1f} MiB and {:.3f} s of a CPU\n",
                 static_cast<double>(details_->usage.max_rss) / (1024.0 * 1024.0),
                 std::chrono::duration<double>(details_->usage.user_time + details_->usage.system_time)
                     .count());
  for (const WorkerCrashed& before : details_->earlier) lines += before.report();
  return lines;
}

RemoteOrigin::RemoteOrigin(pid_t pid, std::string_view call)
    : std::runtime_error(origin_text(pid, call)),
      pid_(pid),
      call_(std::make_shared<const std::string>(call)) {}

std::optional<RemoteOrigin> remote_origin(const std::exception_ptr& error) {
  std::exception_ptr next = error;
  while (next != nullptr) {
    const std::exception_ptr current = std::exchange(next, nullptr);
    try {
      std::rethrow_exception(current);
    } catch (const RemoteOrigin& origin) {
      return origin;
    } catch (const RemoteError& remote) {
      return RemoteOrigin(remote.pid(), remote.call());
    } catch (const WorkerCrashed& crash) {
      return RemoteOrigin(crash.pid(), crash.call());
    } catch (const std::exception& other) {
      if (const auto* outer = dynamic_cast<const std::nested_exception*>(&other)) {
        next = outer->nested_ptr();
      }
    } catch (const std::nested_exception& outer) {
      next = outer.nested_ptr();
    } catch (...) {
      // It has nothing inside.
    }
  }
  return std::nullopt;
}

}  // namespace siding
