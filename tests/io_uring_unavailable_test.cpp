// SPDX-License-Identifier: MIT
#include "io_uring_unavailable.hpp"

#include <siding/event_loop.hpp>
#include <siding/runner.hpp>
#include <siding/task.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include "support/child.hpp"
#include "support/no_io_uring.hpp"

namespace siding_test::io_uring_unavailable_test {
namespace {

using siding::IoUringCause;
using siding::IoUringUnavailable;
using siding::detail::diagnose;
using siding::detail::IoUringEvidence;
using siding::detail::SeccompState;

// A machine on which nothing stands in the way; each case changes what it is about.
IoUringEvidence healthy(int error) {
  IoUringEvidence evidence;
  evidence.error = error;
  evidence.io_uring_disabled = 0;
  evidence.io_uring_group = -1;
  evidence.seccomp = SeccompState::none;
  evidence.kernel_release = "6.6.12-amd64";
  evidence.memlock_limit = 65536;
  evidence.descriptor_limit = 1024;
  evidence.entries = 256;
  evidence.completion_entries = 4096;
  return evidence;
}

struct Row {
  const char* what;
  IoUringEvidence evidence;
  IoUringCause cause;
  std::vector<const char*> problem_names;
  std::vector<const char*> advice_names;
};

std::vector<Row> table() {
  std::vector<Row> rows;
  const auto row = [&](const char* what, int error, IoUringCause cause,
                       std::vector<const char*> problem, std::vector<const char*> advice,
                       auto change) {
    IoUringEvidence evidence = healthy(error);
    change(evidence);
    rows.push_back({what, evidence, cause, std::move(problem), std::move(advice)});
  };
  using enum IoUringCause;
  row("old kernel", ENOSYS, kernel_too_old, {"Linux 4.19.0", "older than 6.1"}, {"6.1 or later"},
      [](auto& e) { e.kernel_release = "4.19.0-27-amd64"; });
  row("gVisor, which looks like 4.4", ENOSYS, kernel_too_old, {"4.4.0"}, {"gVisor"}, [](auto& e) {
    e.kernel_release = "4.4.0";
    e.seccomp = SeccompState::filter;
  });
  row("filter that answers ENOSYS", ENOSYS, blocked_by_seccomp, {"seccomp"},
      {"io_uring_setup, io_uring_enter and io_uring_register", "--security-opt seccomp="},
      [](auto& e) { e.seccomp = SeccompState::filter; });
  row("kernel built without it", ENOSYS, kernel_too_old, {"has no io_uring"}, {"CONFIG_IO_URING=y"},
      [](auto&) {});
  row("old kernel that refuses a flag", EINVAL, kernel_too_old, {"Linux 5.10.0"}, {"6.1 or later"},
      [](auto& e) { e.kernel_release = "5.10.0-28-amd64"; });
  row("switched off", EPERM, disabled_by_administrator, {"kernel.io_uring_disabled = 2"},
      {"sysctl -w kernel.io_uring_disabled=0"}, [](auto& e) { e.io_uring_disabled = 2; });
  row("switched off, in a container", EPERM, disabled_by_administrator, {"io_uring_disabled = 2"},
      {"sysctl"}, [](auto& e) {
        e.io_uring_disabled = 2;
        e.seccomp = SeccompState::filter;
      });
  row("for one group", EPERM, disabled_by_administrator, {"io_uring_group = 977"}, {"id 977"},
      [](auto& e) {
        e.io_uring_disabled = 1;
        e.io_uring_group = 977;
      });
  row("for privileged processes, no group", EPERM, disabled_by_administrator,
      {"io_uring_disabled = 1"}, {"kernel.io_uring_group=GID"},
      [](auto& e) { e.io_uring_disabled = 1; });
  row("member of the group, in a container", EPERM, blocked_by_seccomp, {"seccomp"}, {"seccomp"},
      [](auto& e) {
        e.io_uring_disabled = 1;
        e.io_uring_group = 977;
        e.in_io_uring_group = true;
        e.seccomp = SeccompState::filter;
      });
  row("container profile", EPERM, blocked_by_seccomp, {"Docker"},
      {"io_uring_setup, io_uring_enter and io_uring_register", "--security-opt seccomp="},
      [](auto& e) { e.seccomp = SeccompState::filter; });
  row("container profile, kernel without the sysctl", EPERM, blocked_by_seccomp, {"seccomp"},
      {"seccomp"}, [](auto& e) {
        e.io_uring_disabled.reset();
        e.io_uring_group.reset();
        e.seccomp = SeccompState::filter;
      });
  row("not permitted for no visible reason", EPERM, blocked_by_policy, {"security policy"},
      {"SELinux"}, [](auto&) {});
  row("security module", EACCES, blocked_by_policy, {"security policy"}, {"SELinux"}, [](auto&) {});
  row("platform", EOPNOTSUPP, blocked_by_policy, {"security policy"}, {"platform"}, [](auto&) {});
  row("locked memory", ENOMEM, out_of_memory,
      {"256 submission and 4096 completion entries", "65536 bytes"}, {"ulimit -l", "fewer entries"},
      [](auto&) {});
  row("memory, with no limit on locking", ENOMEM, out_of_memory, {"unlimited"}, {"control group"},
      [](auto& e) { e.memlock_limit.reset(); });
  row("descriptors of the process", EMFILE, out_of_descriptors, {"limit: 1024"}, {"ulimit -n"},
      [](auto&) {});
  row("descriptors of the process, no limit known", EMFILE, out_of_descriptors, {"unlimited"},
      {"ulimit -n"}, [](auto& e) { e.descriptor_limit.reset(); });
  row("descriptors of the system", ENFILE, out_of_descriptors, {"whole system"}, {"fs.file-max"},
      [](auto&) {});
  row("an errno nobody expects", EXDEV, unknown, {"Invalid cross-device link", "6.6.12-amd64"},
      {"report"}, [](auto&) {});
  row("an errno that does not exist", 4095, unknown, {"4095"}, {"report"}, [](auto&) {});
  row("nothing known at all", EINVAL, unknown, {"Invalid argument", "the kernel"}, {"report"},
      [](auto& e) {
        e = IoUringEvidence{};
        e.error = EINVAL;
      });
  row("a release that is no number", EINVAL, unknown, {"rolling"}, {"report"},
      [](auto& e) { e.kernel_release = "rolling"; });
  return rows;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// What is found out about a filter that answers `error`. EPERM and ENOSYS also have causes that
// come before the filter: a sysctl, an old kernel.
bool is_cause_of(int error, IoUringCause cause) {
  if (error == EACCES) return cause == IoUringCause::blocked_by_policy;
  if (error == ENOMEM) return cause == IoUringCause::out_of_memory;
  return cause == IoUringCause::blocked_by_seccomp ||
         cause == (error == EPERM ? IoUringCause::disabled_by_administrator
                                  : IoUringCause::kernel_too_old);
}

template <class Body>
bool is_refused(int error, Body body) {
  try {
    body();
  } catch (const IoUringUnavailable& refusal) {
    return refusal.code() == std::error_code(error, std::system_category()) &&
           is_cause_of(error, refusal.cause()) && !refusal.advice().empty() &&
           contains(refusal.what(), "cannot create an io_uring") &&
           contains(refusal.what(), refusal.advice().c_str());
  }
  return false;
}

TEST_SUITE("IoUringUnavailable") {
  TEST_CASE("each refusal is decoded to its cause, named, and answered by advice") {
    for (const Row& row : table()) {
      CAPTURE(row.what);

      const auto found = diagnose(row.evidence);

      CAPTURE(found.problem);
      CAPTURE(found.advice);
      CHECK(found.cause == row.cause);
      for (const char* part : row.problem_names)
        CHECK_MESSAGE(contains(found.problem, part), part);
      for (const char* part : row.advice_names)
        CHECK_MESSAGE(contains(found.advice, part), part);
    }
  }

  TEST_CASE("every text begins with what failed in the kernel's words and ends with what to do") {
    for (int error = 1; error < 200; ++error) {
      CAPTURE(error);

      const auto found = diagnose(healthy(error));

      const std::string begin =
          "cannot create an io_uring (" + std::system_category().message(error) + "): ";
      CHECK(found.problem.starts_with(begin));
      CHECK(found.problem.back() != '.');
      CHECK(found.advice.size() > 20);
      CHECK(found.advice.back() == '.');
      CHECK_FALSE(contains(found.problem + found.advice, "\n"));
    }
  }

  TEST_CASE("the exception carries the errno, the cause, the whole text and the advice") {
    const IoUringUnavailable error(EPERM, IoUringCause::blocked_by_seccomp, "it is blocked",
                                   "Unblock it.");

    CHECK(error.code() == std::error_code(EPERM, std::system_category()));
    CHECK(error.cause() == IoUringCause::blocked_by_seccomp);
    CHECK(std::string(error.what()) == "it is blocked. Unblock it.");
    CHECK(error.advice() == "Unblock it.");
  }

  TEST_CASE("copying the exception cannot throw and keeps its text") {
    static_assert(std::is_nothrow_copy_constructible_v<IoUringUnavailable>);
    const IoUringUnavailable error(ENOMEM, IoUringCause::out_of_memory, "problem", "Advice.");

    const IoUringUnavailable copy = error;  // NOLINT(performance-unnecessary-copy-initialization)

    CHECK(std::string(copy.what()) == "problem. Advice.");
    CHECK(copy.cause() == IoUringCause::out_of_memory);
  }

  TEST_CASE("the evidence names the running kernel and what was asked for") {
    const IoUringEvidence evidence = siding::detail::gather_evidence(ENOMEM, 8, 16);

    CHECK(evidence.error == ENOMEM);
    CHECK(evidence.entries == 8);
    CHECK(evidence.completion_entries == 16);
    CHECK_FALSE(evidence.kernel_release.empty());
    CHECK(evidence.seccomp != SeccompState::unknown);
  }

  TEST_CASE("throwing it gives a text about this machine") {
    bool thrown = false;
    try {
      siding::detail::throw_io_uring_unavailable(EMFILE, 8, 16);
    } catch (const std::system_error& error) {
      thrown = true;
      CHECK(error.code().value() == EMFILE);
      CHECK(contains(error.what(), "ulimit -n"));
    }
    CHECK(thrown);
  }

  // IO-001
  TEST_CASE("where the kernel refuses a ring, a loop and run() throw it, with cause and advice" *
            doctest::skip(!siding_test::can_forbid_io_uring())) {
    for (const int error : {ENOSYS, EPERM, EACCES, ENOMEM}) {
      CAPTURE(error);
      const int status = siding_test::status_in_child([error] {
        if (!siding_test::forbid_io_uring(error)) return 1;
        bool ran = false;
        if (!is_refused(error, [] { const siding::EventLoop loop; })) return 2;
        if (!is_refused(error, [&ran] {
              siding::run([&ran]() -> siding::Task<> {
                ran = true;
                co_return;
              });
            })) {
          return 3;
        }
        return ran ? 4 : 0;
      });
      CHECK(status == 0);
    }
  }
}

}  // namespace
}  // namespace siding_test::io_uring_unavailable_test
