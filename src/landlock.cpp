// SPDX-License-Identifier: MIT
#include "landlock.hpp"

#include "file_descriptor.hpp"

#include <siding/sandbox.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <system_error>

// The structure and the rights below are the kernel's (linux/landlock.h), written out because the
// headers of Linux 6.1 do not have all of them.

namespace siding::detail {

namespace {

using Rights = std::uint64_t;

constexpr Rights truncate_right = Rights{1} << 14;   // version 3, Linux 6.2
constexpr Rights ioctl_right = Rights{1} << 15;      // version 5, Linux 6.10
constexpr Rights tcp_rights = 0b11;                  // to bind and connect; version 4, Linux 6.7
constexpr Rights scope_rights = 0b11;                // abstract sockets, signals; version 6, 6.12

struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scoped = 0;
};

constexpr Rights read_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// Not to make links, devices, sockets or pipes: the program may read there later, and finds files.
constexpr Rights write_rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER |
                                truncate_right;
// Those that can be given for what is not a directory.
constexpr Rights file_rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                               LANDLOCK_ACCESS_FS_READ_FILE | truncate_right | ioctl_right;

// All that a version knows: each is closed, and given for some paths.
Rights known_rights(int version) noexcept {
  Rights rights = LANDLOCK_ACCESS_FS_EXECUTE | read_rights | LANDLOCK_ACCESS_FS_WRITE_FILE |
                  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                  LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                  LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                  LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) rights |= truncate_right;
  if (version >= 5) rights |= ioctl_right;
  return rights;
}

FileDescriptor make_ruleset(const Sandbox& sandbox, int version) {
  RulesetAttributes attributes;
  attributes.files = known_rights(version);
  if (!sandbox.network) {
    attributes.network = version >= 4 ? tcp_rights : 0;
  }
  attributes.scoped = version >= 6 ? scope_rights : 0;
  const std::size_t size = version >= 6   ? sizeof attributes
                           : version >= 4 ? offsetof(RulesetAttributes, scoped)
                                          : offsetof(RulesetAttributes, network);
  FileDescriptor ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset) {
    throw std::system_error(errno, std::system_category(), "making the rules of a sandbox's files");
  }
  return ruleset;
}

void add_rule(const FileDescriptor& ruleset, const std::filesystem::path& path, Rights rights) {
  const FileDescriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status {};
  if (place && ::fstat(place.get(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) rights &= file_rights;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = rights;
    rule.parent_fd = place.get();
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) {
      return;
    }
  }
  throw std::system_error(errno, std::system_category(),
                          fmt::format("opening {} to a sandbox", path.string()));
}

}  // namespace

int landlock_version() noexcept {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0,
                                 LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

void restrict_files(const Sandbox& sandbox) {
  const int version = landlock_version();
  const FileDescriptor ruleset = make_ruleset(sandbox, version);
  const Rights known = known_rights(version);
  const Rights readable = read_rights | (sandbox.processes ? LANDLOCK_ACCESS_FS_EXECUTE : 0);
  for (const auto& path : sandbox.readable) add_rule(ruleset, path, readable);
  for (const auto& path : sandbox.writable) {
    add_rule(ruleset, path, (read_rights | write_rights) & known);
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    throw std::system_error(errno, std::system_category(), "closing files to a sandbox");
  }
}

}  // namespace siding::detail
