// SPDX-License-Identifier: MIT
#include "usable_cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <thread>

namespace siding::detail {

namespace {

std::optional<std::int64_t> number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The tightest of a group and of those around it: `read_quota` gives the text for a folder, "" being the
// outermost. A container sees its own group there, whatever the path says.
template <class ReadQuota>
std::size_t tightest(std::string path, std::size_t cpus, ReadQuota read_quota) {
  std::size_t least = cpus;
  for (;;) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    const std::optional<std::string> text = read_quota(path);
    if (text.has_value()) least = std::min(least, cpus_of_quota(*text, cpus));
    if (path.empty()) return least;
    path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

}  // namespace

std::size_t allowed_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t cpus_of_quota(std::optional<std::string_view> cpu_max, std::size_t cpus) noexcept {
  if (!cpu_max.has_value()) return cpus;
  const std::string_view text = trimmed(*cpu_max);
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return cpus;
  const std::optional<std::int64_t> quota = number(text.substr(0, space));  // none for "max"
  const std::optional<std::int64_t> period = number(text.substr(space + 1));
  if (!quota.has_value() || !period.has_value() || *quota <= 0 || *period <= 0) return cpus;
  const auto whole = static_cast<std::uint64_t>(*quota / *period);
  const std::uint64_t rounded_up = whole + (*quota % *period != 0 ? 1 : 0);
  return static_cast<std::size_t>(std::min<std::uint64_t>(std::max<std::uint64_t>(rounded_up, 1), cpus));
}

std::size_t cpus_of_groups(
    std::string_view self,
    const std::function<std::optional<std::string>(const std::string&)>& read_file,
    std::size_t cpus) {
  const std::string base = "/sys/fs/cgroup";
  std::size_t least = cpus;
  // Lines of "number:controllers:path"; v2 has the number 0 and no controllers.
  while (!self.empty()) {
    const std::size_t end = std::min(self.find('\n'), self.size());
    const std::string_view line = self.substr(0, end);
    self.remove_prefix(std::min(end + 1, self.size()));
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string controllers = ",";  // not by +, in which g++ 12 at -O3 sees an overlap
    controllers.append(line.substr(first + 1, second - first - 1)).append(",");
    const std::string path(line.substr(second + 1));
    if (controllers == ",,") {
      least = std::min(least, tightest(path, cpus, [&](const std::string& group) {
        return read_file(base + group + "/cpu.max");
      }));
    } else if (controllers.find(",cpu,") != std::string::npos) {
      least = std::min(least, tightest(path, cpus, [&](const std::string& group) {
        const std::string folder = base + "/cpu" + group;
        const auto quota = read_file(folder + "/cpu.cfs_quota_us");  // -1: none
        const auto period = read_file(folder + "/cpu.cfs_period_us");
        std::optional<std::string> text;
        if (quota.has_value() && period.has_value()) {
          text = std::string(trimmed(*quota)) + " " + *period;
        }
        return text;
      }));
    }
  }
  return least;
}

std::size_t usable_cpus() noexcept {
  const std::size_t cpus = allowed_cpus();
  if (cpus == 1) return cpus;
  try {
    const std::optional<std::string> self = read_text("/proc/self/cgroup");
    return self.has_value() ? cpus_of_groups(*self, read_text, cpus) : cpus;
  } catch (...) {
    return cpus;  // no memory to read it with
  }
}

}  // namespace siding::detail
