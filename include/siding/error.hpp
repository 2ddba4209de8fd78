// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// Every exception type of the library except `Cancelled` (cancellation.hpp) and
// `IoUringUnavailable` (io_uring_unavailable.hpp). Each has its virtual destructor in the library,
// so that it can be caught across a shared-library boundary.

namespace siding {

/// A limit passed before the work was done.
class SIDING_EXPORT TimeoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~TimeoutError() override;
};

/// Work was given to an executor that was shut down.
class SIDING_EXPORT ShutdownError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~ShutdownError() override;
};

/// An executor cannot run work any more, or could not run this call. Where another error is the
/// cause, it is nested inside: see `std::rethrow_if_nested`.
class SIDING_EXPORT BrokenExecutor : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~BrokenExecutor() override;
};

/// What a process has used in its life.
struct ResourceUsage {
  std::uint64_t max_rss = 0;                ///< bytes of memory at most, as the system counts them
  std::chrono::microseconds user_time{};    ///< of a CPU, in the program
  std::chrono::microseconds system_time{};  ///< of a CPU, in the system
};

class WorkerCrashed;

/// How a worker process died.
struct CrashDetails {
  pid_t pid = -1;
  int signal = 0;           ///< that killed it, or 0
  int exit_status = 0;      ///< what it gave to exit(), if no signal killed it
  std::string call{};       ///< the name of the call that it ran, or the function's type; may be empty
  unsigned attempt = 1;     ///< 1 for the first; more only with CallOptions::retries
  std::optional<std::uintptr_t> fault_address{};  ///< what it could not access, where the signal tells
  std::string message{};    ///< what the C or C++ library said of its end; empty: nothing
  std::string backtrace{};  ///< one line for each frame, the innermost first; empty where not to be had
  std::string last_output{};  ///< its last lines on standard error, where Output::relay is set
  ResourceUsage usage{};
  // Without `{}`, for which clang would need the complete type here.
  std::vector<WorkerCrashed> earlier;  ///< the attempts before, each without its own
};

/// The process that ran a call has died.
class SIDING_EXPORT WorkerCrashed : public BrokenExecutor {
 public:
  /// `text` is what what() says.
  WorkerCrashed(const std::string& text, CrashDetails details);
  WorkerCrashed(const WorkerCrashed&) noexcept = default;
  WorkerCrashed& operator=(const WorkerCrashed&) noexcept = default;
  ~WorkerCrashed() override;

  [[nodiscard]] pid_t pid() const noexcept { return details_->pid; }
  [[nodiscard]] int signal() const noexcept { return details_->signal; }
  [[nodiscard]] int exit_status() const noexcept { return details_->exit_status; }
  [[nodiscard]] const std::string& call() const noexcept { return details_->call; }
  /// All that is known.
  [[nodiscard]] const CrashDetails& details() const noexcept { return *details_; }
  /// All of it as lines for people, that of earlier attempts too.
  [[nodiscard]] std::string report() const;

 private:
  std::shared_ptr<const CrashDetails> details_;  // shared: copying an exception must not throw
};

/// A call with `CallOptions::retries` has killed as many workers as
/// `ProcessPoolOptions::poison_limit` allows, and is not made again although it had retries left.
class SIDING_EXPORT PoisonCall : public WorkerCrashed {
 public:
  using WorkerCrashed::WorkerCrashed;
  PoisonCall(const PoisonCall&) noexcept = default;
  PoisonCall& operator=(const PoisonCall&) noexcept = default;
  ~PoisonCall() override;
};

/// This program cannot have worker processes; the text says what to do.
class SIDING_EXPORT ProcessPoolUnavailable : public BrokenExecutor {
 public:
  using BrokenExecutor::BrokenExecutor;
  ~ProcessPoolUnavailable() override;
};

/// Work was given to a loop that was closed, or a loop was closed under a waiting task.
class SIDING_EXPORT LoopClosed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~LoopClosed() override;
};

/// `run()` ended because of SIGINT.
class SIDING_EXPORT Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Interrupted() override;
};

/// Whoever was to give a future its outcome went away without giving one.
class SIDING_EXPORT BrokenPromise : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~BrokenPromise() override;
};

/// A call that the state of its object does not allow: a second await of a task, the result of a
/// future that is not done, a second value for a promise.
class SIDING_EXPORT InvalidStateError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
  ~InvalidStateError() override;
};

/// A function that needs a running loop was called on a thread that runs none.
class SIDING_EXPORT NoRunningLoop : public std::logic_error {
 public:
  using std::logic_error::logic_error;
  ~NoRunningLoop() override;
};

/// A blocking call (`get()`) was made on the thread of a running loop: the loop would stand still.
class SIDING_EXPORT WouldBlockLoop : public std::logic_error {
 public:
  using std::logic_error::logic_error;
  ~WouldBlockLoop() override;
};

/// A `Barrier` was reset or aborted while the task waited, or is broken.
class SIDING_EXPORT BrokenBarrier : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~BrokenBarrier() override;
};

/// There is no room for more: in a `Queue` for what was put without waiting, or in the bounded queue of an
/// executor for a further call.
class SIDING_EXPORT QueueFull : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~QueueFull() override;
};

/// A queue has nothing for who would not wait.
class SIDING_EXPORT QueueEmpty : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~QueueEmpty() override;
};

/// A queue was shut down: it takes nothing any more, or has nothing left to give.
class SIDING_EXPORT QueueShutDown : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~QueueShutDown() override;
};

/// A value could not be written for another process, or what came from one could not be read.
class SIDING_EXPORT SerializationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~SerializationError() override;
};

/// A call was given to a pool of processes that has no form in which it could cross to one.
class SIDING_EXPORT NotPortable : public std::logic_error {
 public:
  using std::logic_error::logic_error;
  ~NotPortable() override;
};

/// Where an error that arrived as itself was thrown: the innermost error of its chain of nested ones, as
/// Python chains the traceback of another process. `remote_origin` finds it.
///
/// Errors of types that nothing can be nested in, such as `Cancelled` and classes that are final, come
/// without it, and a RemoteError tells it by itself. There is no stack: it was unwound when the worker
/// caught the error. To see one, stop in the worker with a debugger's `catch throw`.
class SIDING_EXPORT RemoteOrigin : public std::runtime_error {
 public:
  /// Parameters:
  ///   pid   the process that threw the error.
  ///   call  the name of the call there, or the function's type; may be empty.
  RemoteOrigin(pid_t pid, std::string_view call);
  RemoteOrigin(const RemoteOrigin&) noexcept = default;
  RemoteOrigin& operator=(const RemoteOrigin&) noexcept = default;
  ~RemoteOrigin() override;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] const std::string& call() const noexcept { return *call_; }

 private:
  pid_t pid_;
  std::shared_ptr<const std::string> call_;  // shared, because copying an exception must not throw
};

/// In which process and which call an error was thrown, or a process died: what the RemoteOrigin, the
/// RemoteError or the WorkerCrashed says that is the first in the chain of nested errors.
///
/// Returns: empty if there is none, as for errors of this process; and for null.
/// Thread safety: any thread.
[[nodiscard]] SIDING_EXPORT std::optional<RemoteOrigin> remote_origin(const std::exception_ptr& error);

/// What a function threw in another process, where its type cannot be rebuilt here.
///
/// `what()` names the type, its text, the process and the call. A type that shall arrive as itself
/// needs a `RegisterError` (register_error.hpp).
class SIDING_EXPORT RemoteError : public std::runtime_error {
 public:
  /// Parameters:
  ///   type_name  the demangled name of the type that was thrown.
  ///   message    its `what()`; empty for what is no `std::exception`.
  ///   pid        the process that threw it.
  ///   call       the name of the call there; may be empty.
  RemoteError(std::string_view type_name, std::string_view message, pid_t pid,
              std::string_view call);
  RemoteError(const RemoteError&) noexcept = default;
  RemoteError& operator=(const RemoteError&) noexcept = default;
  ~RemoteError() override;

  [[nodiscard]] const std::string& type_name() const noexcept;
  /// The text of the original, without the rest of `what()`.
  [[nodiscard]] const std::string& message() const noexcept;
  [[nodiscard]] pid_t pid() const noexcept;
  [[nodiscard]] const std::string& call() const noexcept;

 private:
  // Shared, because copying an exception must not throw.
  struct Origin;
  std::shared_ptr<const Origin> origin_;
};

}  // namespace siding
