// SPDX-License-Identifier: MIT
// The main function of tests that need io_uring. Where the kernel refuses a ring it prints why and
// exits with 77, which Meson shows as SKIP; with SIDING_REQUIRE_IO_URING=1 that is a failure.

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "doctest_main.hpp"

namespace {

// Zero, or the errno with which the kernel refused a ring.
int probe_io_uring() {
  io_uring_params params{};
  const long fd = ::syscall(SYS_io_uring_setup, 4, &params);
  if (fd < 0) return errno;
  ::close(static_cast<int>(fd));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int error = probe_io_uring();
  if (error != 0) {
    // One thread so far, so both calls are safe. NOLINTNEXTLINE(concurrency-mt-unsafe)
    const char* required = std::getenv("SIDING_REQUIRE_IO_URING");
    const bool is_required = required != nullptr && std::strcmp(required, "1") == 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    const char* reason = std::strerror(error);
    std::printf("%s: io_uring_setup failed: %s (errno %d)\n",
                is_required ? "FAILED, SIDING_REQUIRE_IO_URING=1" : "skipped", reason, error);
    return is_required ? 1 : 77;
  }
  return siding_test::run_doctest(argc, argv);
}
