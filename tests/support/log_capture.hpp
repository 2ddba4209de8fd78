// SPDX-License-Identifier: MIT
#pragma once

#include <siding/log.hpp>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace siding_test {

/// While it lives, the lines that the library writes are kept here.
class LogCapture {
 public:
  LogCapture() {
    siding::set_log_sink([this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    });
  }
  ~LogCapture() { siding::set_log_sink({}); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace siding_test
