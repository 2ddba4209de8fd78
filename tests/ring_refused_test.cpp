// SPDX-License-Identifier: MIT
// Processes that may make a ring but not use it: a seccomp filter refuses one of the other calls.
#include <siding/io_uring_unavailable.hpp>
#include <siding/log.hpp>
#include <siding/runner.hpp>
#include <siding/sleep.hpp>

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <system_error>

#include "support/child.hpp"

namespace siding_test::ring_refused_test {
namespace {

using namespace std::chrono_literals;
using siding::Task;

// From now on this thread gets `error` from the system call `number`.
void refuse_call(long number, int error) {
  sock_filter instructions[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<unsigned>(number)},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog program{4, instructions};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    throw std::system_error(errno, std::system_category(), "seccomp");
  }
}

// What becomes of a run in a child that cannot make the call: 0 is right.
int refused_from_the_start(long number, int error) {
  refuse_call(number, error);
  bool started = false;
  auto main = [&started]() -> Task<> {
    started = true;
    co_return;
  };
  try {
    siding::run(main);
  } catch (const siding::IoUringUnavailable& refusal) {
    if (started) return 2;
    return refusal.cause() == siding::IoUringCause::blocked_by_seccomp ? 0 : 3;
  }
  return 1;
}

int refused_later(long number) {
  siding::set_log_sink([](std::string_view) {});
  auto main = [number]() -> Task<> {
    co_await siding::sleep(1ms);
    refuse_call(number, EPERM);
    co_await siding::sleep(1ms);
  };
  try {
    siding::run(main);
  } catch (const siding::IoUringUnavailable&) {
    return 2;
  } catch (const std::system_error& error) {
    return error.code().value() == EPERM ? 0 : 3;
  }
  return 1;
}

TEST_SUITE("a refused io_uring call") {
  TEST_CASE("where entering a ring is refused, run throws IoUringUnavailable before main starts") {
    for (const int error : {EPERM, ENOSYS}) {
      CAPTURE(error);
      CHECK(siding_test::status_in_child(
                [&] { return refused_from_the_start(SYS_io_uring_enter, error); }) == 0);
    }
  }

  TEST_CASE("where registering is refused, run throws IoUringUnavailable before main starts") {
    for (const int error : {EPERM, ENOSYS}) {
      CAPTURE(error);
      CHECK(siding_test::status_in_child(
                [&] { return refused_from_the_start(SYS_io_uring_register, error); }) == 0);
    }
  }

  // The run ends by the error of the call, with its task destroyed and nothing left on the stack.
  TEST_CASE("where entering is refused in the middle of a run, run throws std::system_error") {
    CHECK(siding_test::status_in_child([] { return refused_later(SYS_io_uring_enter); }) == 0);
  }
}

}  // namespace
}  // namespace siding_test::ring_refused_test
