// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace siding::detail {

/// How many processors the scheduler may put this process on, at least 1.
std::size_t allowed_cpus() noexcept;

/// How many processors' time this process may use, at least 1: those it is allowed, or less where a
/// control group, such as that of a container, has a quota. What pools are sized by.
std::size_t usable_cpus() noexcept;

/// What a quota leaves of so many processors: a part of one counts as one.
///
/// Parameters:
///   cpu_max  the text of cpu.max of control groups v2, "quota period" or "max period", in microseconds;
///            empty where there is no such file. Anything else leaves all.
std::size_t cpus_of_quota(std::optional<std::string_view> cpu_max, std::size_t cpus) noexcept;

/// The same for the group of this process and those around it, of either version.
///
/// Parameters:
///   self       the text of /proc/self/cgroup.
///   read_file  gives the text of a file below /sys/fs/cgroup, or nothing.
std::size_t cpus_of_groups(
    std::string_view self,
    const std::function<std::optional<std::string>(const std::string&)>& read_file,
    std::size_t cpus);

}  // namespace siding::detail
