// SPDX-License-Identifier: MIT
#include "sandbox.hpp"

#include "landlock.hpp"
#include "seccomp_filter.hpp"

#include <siding/detail/sanitizers.hpp>

#include <fmt/format.h>

#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace siding::detail {

namespace {

void check_paths(const std::vector<std::filesystem::path>& paths) {
  for (const auto& path : paths) {
    if (!path.is_absolute()) {
      throw std::invalid_argument(fmt::format(
          "the path '{}' of a sandbox is not absolute: a worker may have another working "
          "directory, so use std::filesystem::absolute()",
          path.string()));
    }
    if (::access(path.c_str(), F_OK) != 0) {
      throw std::system_error(errno, std::system_category(),
                              fmt::format("the path {} of a sandbox cannot be used: make it before "
                                          "the pool",
                                          path.string()));
    }
  }
}

}  // namespace

void check_sandbox(const Sandbox& sandbox) {
  require_seccomp();
  check_paths(sandbox.readable);
  check_paths(sandbox.writable);
  const bool needs_landlock = !sandbox.readable.empty() || !sandbox.writable.empty();
  if (needs_landlock && landlock_version() == 0) {
    throw std::system_error(
        EOPNOTSUPP, std::system_category(),
        "a sandbox with paths needs Landlock, which this kernel does not have or has switched off: "
        "boot it with landlock in its list of security modules (lsm=), or pass the content of the "
        "files to the function instead of their paths, and leave the paths out");
  }
}

void apply_sandbox(const Sandbox& sandbox) {
  if (SIDING_SANITIZED) return;
  // Does nothing, and fails so where there are more threads.
  if (::unshare(CLONE_THREAD) != 0 && errno == EINVAL) {
    throw std::system_error(
        EBUSY, std::system_category(),
        "a sandbox would hold one thread, and this process has more: let neither static objects nor "
        "what runs before the first call start threads");
  }
  ::tzset();  // reads the time zone, which the function could not do
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throw std::system_error(errno, std::system_category(), "giving up new privileges");
  }
  // Without paths the filter alone closes all files, and Landlock is a second lock where there is one.
  if (landlock_version() > 0) restrict_files(sandbox);
  install_seccomp_filter(make_seccomp_filter(sandbox));
}

}  // namespace siding::detail
