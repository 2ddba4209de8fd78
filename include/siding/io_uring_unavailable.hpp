// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <memory>
#include <string>
#include <system_error>

namespace siding {

/// Why no io_uring could be made, as far as the machine lets us find out.
enum class IoUringCause {
  /// The kernel is older than the library needs, or was built without io_uring.
  kernel_too_old,
  /// The sysctl `kernel.io_uring_disabled` forbids it.
  disabled_by_administrator,
  /// A seccomp filter, as in the default profiles of Docker and Kubernetes, refuses the calls.
  blocked_by_seccomp,
  /// A security module or the platform (a sandbox, a hardened system) refuses it.
  blocked_by_policy,
  /// The kernel could not get, or would not lock, the memory for the ring.
  out_of_memory,
  /// The limit of open file descriptors, of the process or of the system, is reached.
  out_of_descriptors,
  /// None of the above; `what()` carries the error of the kernel.
  unknown,
};

/// Thrown when an event loop is made where io_uring cannot be used.
///
/// `what()` says what failed, why, and what to do, in one line; `cause()` is for programs, and
/// `advice()` is the part of the text that says what to do. `code()` is the errno of the kernel in
/// `std::system_category()`.
///
/// `out_of_memory` and `out_of_descriptors` are shortages and may pass; the other causes stay until
/// somebody changes the machine, the container or the program.
class SIDING_EXPORT IoUringUnavailable : public std::system_error {
 public:
  /// Parameters:
  ///   error    an errno, positive.
  ///   problem  what failed and why; a full sentence without its full stop.
  ///   advice   what to do about it; a full sentence.
  IoUringUnavailable(int error, IoUringCause cause, const std::string& problem,
                     const std::string& advice);
  IoUringUnavailable(const IoUringUnavailable&) noexcept = default;
  IoUringUnavailable& operator=(const IoUringUnavailable&) noexcept = default;
  ~IoUringUnavailable() override;

  [[nodiscard]] const char* what() const noexcept override;
  [[nodiscard]] IoUringCause cause() const noexcept { return cause_; }
  [[nodiscard]] const std::string& advice() const noexcept;

 private:
  // Shared, because copying an exception must not throw.
  struct Text;
  std::shared_ptr<const Text> text_;
  IoUringCause cause_;
};

}  // namespace siding
