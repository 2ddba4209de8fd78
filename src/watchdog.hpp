// SPDX-License-Identifier: MIT
#pragma once

#include <siding/time.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace siding::detail {

class Loop;

/// A thread that looks whether a running loop comes round, and says so in the log while it does not.
class Watchdog {
 public:
  /// Chosen: below, it would do little else than wake.
  static constexpr std::chrono::milliseconds shortest{1};
  /// Throws std::invalid_argument if a limit is shorter.
  static void check(Limit limit);

  /// Throws std::system_error if there is no thread.
  Watchdog(Loop& loop, std::chrono::nanoseconds limit);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void watch();
  void report(std::chrono::nanoseconds length) noexcept;

  Loop& loop_;
  const std::chrono::nanoseconds limit_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace siding::detail
