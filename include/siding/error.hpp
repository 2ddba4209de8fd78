// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <stdexcept>

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

}  // namespace siding
