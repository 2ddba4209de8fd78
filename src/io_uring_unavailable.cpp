// SPDX-License-Identifier: MIT
#include "io_uring_unavailable.hpp"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

namespace siding {

struct IoUringUnavailable::Text {
  std::string what;
  std::string advice;
};

IoUringUnavailable::IoUringUnavailable(int error, IoUringCause cause, const std::string& problem,
                                       const std::string& advice)
    : std::system_error(error, std::system_category()),
      text_(std::make_shared<const Text>(Text{problem + ". " + advice, advice})),
      cause_(cause) {}

IoUringUnavailable::~IoUringUnavailable() = default;

const char* IoUringUnavailable::what() const noexcept { return text_->what.c_str(); }

const std::string& IoUringUnavailable::advice() const noexcept { return text_->advice; }

namespace detail {
namespace {

struct Release {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const Release&, const Release&) = default;
};

constexpr Release first_with_io_uring{5, 1};
// The baseline of this library: the first kernel with deferred task work.
constexpr Release baseline{6, 1};

std::optional<Release> parse_release(std::string_view text) {
  Release release;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, release.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, release.minor);
  if (minor.ec != std::errc{}) return std::nullopt;
  return release;
}

bool older_than(const IoUringEvidence& evidence, Release floor) {
  const auto release = parse_release(evidence.kernel_release);
  return release && *release < floor;
}

std::string kernel_name(const IoUringEvidence& evidence) {
  return evidence.kernel_release.empty() ? "the kernel" : "Linux " + evidence.kernel_release;
}

// The first words of every text: what failed, in the kernel's words.
std::string failure(const IoUringEvidence& evidence) {
  return "cannot create an io_uring (" + std::system_category().message(evidence.error) + "): ";
}

IoUringDiagnosis too_old(const IoUringEvidence& evidence) {
  return {IoUringCause::kernel_too_old,
          failure(evidence) + kernel_name(evidence) + " is older than 6.1, which siding needs",
          "Run on Linux 6.1 or later; if this is a sandbox such as gVisor, which presents an old "
          "kernel of its own, run outside it."};
}

IoUringDiagnosis not_implemented(const IoUringEvidence& evidence) {
  if (older_than(evidence, first_with_io_uring)) return too_old(evidence);
  if (evidence.seccomp == SeccompState::filter) {
    return {IoUringCause::blocked_by_seccomp,
            failure(evidence) + "a seccomp filter hides io_uring from this process",
            "Allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile of "
            "the container or service, for example docker run --security-opt seccomp=FILE."};
  }
  return {IoUringCause::kernel_too_old,
          failure(evidence) + kernel_name(evidence) + " has no io_uring",
          "Use a kernel built with CONFIG_IO_URING=y; if this is a sandbox such as gVisor, run "
          "outside it or let it pass io_uring on."};
}

IoUringDiagnosis switched_off(const IoUringEvidence& evidence) {
  return {IoUringCause::disabled_by_administrator,
          failure(evidence) + "the administrator switched it off (kernel.io_uring_disabled = 2)",
          "Ask for `sysctl -w kernel.io_uring_disabled=0` on the host."};
}

IoUringDiagnosis for_members_only(const IoUringEvidence& evidence) {
  const long group = evidence.io_uring_group.value_or(-1);
  const std::string problem =
      failure(evidence) +
      "the administrator allows it to privileged processes only (kernel.io_uring_disabled = 1, "
      "kernel.io_uring_group = " +
      std::to_string(group) + ")";
  if (group < 0) {
    return {IoUringCause::disabled_by_administrator, problem,
            "Ask for `sysctl -w kernel.io_uring_group=GID` on the host with a group of this user, "
            "or for `sysctl -w kernel.io_uring_disabled=0`."};
  }
  return {IoUringCause::disabled_by_administrator, problem,
          "Add this user to the group with the id " + std::to_string(group) +
              ", or ask for `sysctl -w kernel.io_uring_disabled=0` on the host."};
}

IoUringDiagnosis refused_by_policy(const IoUringEvidence& evidence) {
  return {IoUringCause::blocked_by_policy,
          failure(evidence) + "a security policy of this machine refuses it",
          "Allow io_uring in the policy of the security module (SELinux, AppArmor, a BPF program) "
          "or of the platform; the log of the host (`dmesg`, the audit log) names which."};
}

IoUringDiagnosis not_permitted(const IoUringEvidence& evidence) {
  if (evidence.io_uring_disabled == 2) return switched_off(evidence);
  if (evidence.io_uring_disabled == 1 && !evidence.in_io_uring_group)
    return for_members_only(evidence);
  if (evidence.seccomp == SeccompState::filter) {
    return {IoUringCause::blocked_by_seccomp,
            failure(evidence) +
                "the seccomp profile of the container or service blocks it; the default profiles "
                "of Docker, containerd and podman do",
            "Allow io_uring_setup, io_uring_enter and io_uring_register in the profile: docker run "
            "--security-opt seccomp=FILE, in Kubernetes securityContext.seccompProfile, in systemd "
            "SystemCallFilter=."};
  }
  return refused_by_policy(evidence);
}

IoUringDiagnosis no_memory(const IoUringEvidence& evidence) {
  const std::string limit = evidence.memlock_limit
                                ? std::to_string(*evidence.memlock_limit) + " bytes"
                                : std::string("unlimited");
  return {IoUringCause::out_of_memory,
          failure(evidence) + "no memory for a ring of " + std::to_string(evidence.entries) +
              " submission and " + std::to_string(evidence.completion_entries) +
              " completion entries (locked memory limit: " + limit + ")",
          evidence.memlock_limit
              ? "Raise the limit (`ulimit -l`, LimitMEMLOCK= in systemd), or ask for fewer entries "
                "or fewer loops."
              : "Give the process or its control group more memory, or ask for fewer entries or "
                "fewer loops."};
}

IoUringDiagnosis no_descriptor(const IoUringEvidence& evidence) {
  if (evidence.error == ENFILE) {
    return {IoUringCause::out_of_descriptors,
            failure(evidence) + "the whole system has no file descriptor left",
            "Raise fs.file-max with sysctl, or find what keeps descriptors open "
            "(/proc/sys/fs/file-nr counts them)."};
  }
  const std::string limit = evidence.descriptor_limit ? std::to_string(*evidence.descriptor_limit)
                                                      : std::string("unlimited");
  return {IoUringCause::out_of_descriptors,
          failure(evidence) + "the process has no file descriptor left (limit: " + limit + ")",
          "Raise the limit (`ulimit -n`, LimitNOFILE= in systemd), or close what is not needed."};
}

IoUringDiagnosis anything_else(const IoUringEvidence& evidence) {
  return {IoUringCause::unknown,
          failure(evidence) + "error " + std::to_string(evidence.error) + " on " +
              kernel_name(evidence) + ", asked for " + std::to_string(evidence.entries) +
              " submission and " + std::to_string(evidence.completion_entries) +
              " completion entries",
          "Check that this machine allows io_uring at all (`dmesg` may name what refused it), and "
          "report this line to siding if it does."};
}

// The value of a file that holds one number, such as a sysctl.
std::optional<long> number_in(const char* path) {
  std::ifstream file(path);
  long value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

SeccompState seccomp_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view key = "Seccomp:";
    if (!line.starts_with(key)) continue;
    const auto digit = line.find_first_of("012", key.size());
    if (digit == std::string::npos) break;
    return static_cast<SeccompState>(line[digit] - '0');
  }
  return SeccompState::unknown;
}

bool belongs_to(long group) {
  if (group < 0) return false;
  const auto wanted = static_cast<gid_t>(group);
  if (::getegid() == wanted) return true;
  const int count = ::getgroups(0, nullptr);
  if (count <= 0) return false;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  const int filled = ::getgroups(count, groups.data());
  return std::find(groups.begin(), groups.begin() + std::max(filled, 0), wanted) !=
         groups.begin() + std::max(filled, 0);
}

// A template, because glibc gives RLIMIT_* an enumeration of its own and other libraries an int.
template <class Resource>
std::optional<std::uint64_t> limit_of(Resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

}  // namespace

IoUringDiagnosis diagnose(const IoUringEvidence& evidence) {
  switch (evidence.error) {
    case ENOSYS:
      return not_implemented(evidence);
    case EPERM:
      return not_permitted(evidence);
    case EACCES:
    case EOPNOTSUPP:
      return refused_by_policy(evidence);
    case ENOMEM:
      return no_memory(evidence);
    case EMFILE:
    case ENFILE:
      return no_descriptor(evidence);
    default:
      // An old kernel says EINVAL to flags it does not know, among other things.
      return older_than(evidence, baseline) ? too_old(evidence) : anything_else(evidence);
  }
}

IoUringEvidence gather_evidence(int error, std::uint32_t entries,
                                std::uint32_t completion_entries) {
  IoUringEvidence evidence;
  evidence.error = error;
  evidence.entries = entries;
  evidence.completion_entries = completion_entries;
  if (const auto value = number_in("/proc/sys/kernel/io_uring_disabled"))
    evidence.io_uring_disabled = static_cast<int>(*value);
  evidence.io_uring_group = number_in("/proc/sys/kernel/io_uring_group");
  evidence.in_io_uring_group = belongs_to(evidence.io_uring_group.value_or(-1));
  evidence.seccomp = seccomp_of_this_process();
  utsname names{};
  if (::uname(&names) == 0) evidence.kernel_release = names.release;
  evidence.memlock_limit = limit_of(RLIMIT_MEMLOCK);
  evidence.descriptor_limit = limit_of(RLIMIT_NOFILE);
  return evidence;
}

void throw_io_uring_unavailable(int error, std::uint32_t entries,
                                std::uint32_t completion_entries) {
  const IoUringDiagnosis found = diagnose(gather_evidence(error, entries, completion_entries));
  throw IoUringUnavailable(error, found.cause, found.problem, found.advice);
}

}  // namespace detail
}  // namespace siding
