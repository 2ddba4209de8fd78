// SPDX-License-Identifier: MIT
#pragma once

#include <siding/io_uring_unavailable.hpp>

#include <cstdint>
#include <optional>
#include <string>

// Turns the bare errno of a refused ring into a text that says why and what to do. Gathering the
// evidence reads files and happens only after a failure; judging it is a pure function, so that
// every row of the table is tested on any machine.

namespace siding::detail {

/// What `Seccomp:` in /proc/self/status says; the values are the kernel's.
enum class SeccompState { none = 0, strict = 1, filter = 2, unknown = -1 };

struct IoUringEvidence {
  /// The positive errno of the call that failed.
  int error = 0;
  /// The sysctl kernel.io_uring_disabled (Linux 6.6); empty where it does not exist.
  std::optional<int> io_uring_disabled;
  /// The sysctl kernel.io_uring_group (Linux 6.6): the group that may use rings when the one above
  /// is 1; -1 for none.
  std::optional<long> io_uring_group;
  /// Whether this process belongs to that group.
  bool in_io_uring_group = false;
  SeccompState seccomp = SeccompState::unknown;
  /// As `uname -r` prints it; empty if unknown.
  std::string kernel_release;
  /// RLIMIT_MEMLOCK in bytes; empty means unlimited.
  std::optional<std::uint64_t> memlock_limit;
  /// RLIMIT_NOFILE; empty means unlimited.
  std::optional<std::uint64_t> descriptor_limit;
  /// What was asked for.
  std::uint32_t entries = 0;
  std::uint32_t completion_entries = 0;
};

struct IoUringDiagnosis {
  IoUringCause cause = IoUringCause::unknown;
  /// What failed and why; no full stop.
  std::string problem;
  /// What to do; a full sentence.
  std::string advice;
};

/// Judges the evidence. Touches nothing but its argument.
[[nodiscard]] IoUringDiagnosis diagnose(const IoUringEvidence& evidence);

/// Reads everything `diagnose` wants to know about this machine and process.
[[nodiscard]] IoUringEvidence gather_evidence(int error, std::uint32_t entries,
                                              std::uint32_t completion_entries);

/// Gathers, judges, throws.
[[noreturn]] void throw_io_uring_unavailable(int error, std::uint32_t entries,
                                             std::uint32_t completion_entries);

}  // namespace siding::detail
