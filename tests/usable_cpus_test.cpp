// SPDX-License-Identifier: MIT
#include "usable_cpus.hpp"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>

namespace siding_test::usable_cpus_test {

using siding::detail::cpus_of_groups;
using siding::detail::cpus_of_quota;

using Files = std::map<std::string, std::string>;

// With 16 processors.
std::size_t with_files(const std::string& self, const Files& files) {
  return cpus_of_groups(
      self,
      [&files](const std::string& path) -> std::optional<std::string> {
        const auto found = files.find(path);
        if (found == files.end()) return std::nullopt;
        return found->second;
      },
      16);
}

TEST_SUITE("usable_cpus") {
  // EX-013
  TEST_CASE("a quota leaves so many processors, rounded up; what is none leaves all") {
    CHECK(cpus_of_quota("200000 100000", 16) == 2);
    CHECK(cpus_of_quota("200000 100000\n", 16) == 2);
    CHECK(cpus_of_quota("max 100000", 16) == 16);
    CHECK(cpus_of_quota(std::nullopt, 16) == 16);
    for (const char* junk : {"", "junk", "junk 100000", "200000", "200000 ", "200000 x", "1 2 3",
                             "-1 100000", "0 100000", "200000 0", "200000 -5",
                             "99999999999999999999 1"}) {
      CHECK_MESSAGE(cpus_of_quota(junk, 16) == 16, junk);
    }
    CHECK(cpus_of_quota("150000 100000", 16) == 2);
    CHECK(cpus_of_quota("100001 100000", 16) == 2);
    CHECK(cpus_of_quota("1000 100000", 16) == 1);
    CHECK(cpus_of_quota("9999999 100000", 16) == 16);
    CHECK(cpus_of_quota("9223372036854775807 1", 16) == 16);
  }

  // EX-013
  TEST_CASE("the group of the process and those around it count, in either version") {
    const std::string base = "/sys/fs/cgroup";
    CHECK(with_files("0::/\n", {{base + "/cpu.max", "400000 100000\n"}}) == 4);
    CHECK(with_files("0::/app/web\n", {{base + "/app/web/cpu.max", "max 100000\n"},
                                       {base + "/app/cpu.max", "300000 100000\n"}}) == 3);
    // In a container the path may be the host's, and only the outermost folder is there.
    CHECK(with_files("0::/docker/1234\n", {{base + "/cpu.max", "250000 100000\n"}}) == 3);
    CHECK(with_files("5:memory:/x\n4:cpu,cpuacct:/docker/1\n",
                     {{base + "/cpu/docker/1/cpu.cfs_quota_us", "600000\n"},
                      {base + "/cpu/docker/1/cpu.cfs_period_us", "100000\n"}}) == 6);
    CHECK(with_files("4:cpuset:/\n3:cpu:/\n", {{base + "/cpu/cpu.cfs_quota_us", "-1\n"},
                                               {base + "/cpu/cpu.cfs_period_us", "100000\n"}}) ==
          16);
    CHECK(with_files("", {}) == 16);
    CHECK(with_files("junk\n0:\n:::\n", {}) == 16);
    CHECK(with_files("0::/a", {}) == 16);
  }

  TEST_CASE("this process may use at least one processor, and none that it is not allowed") {
    CHECK(siding::detail::usable_cpus() >= 1);
    CHECK(siding::detail::usable_cpus() <= siding::detail::allowed_cpus());
  }
}

}  // namespace siding_test::usable_cpus_test
