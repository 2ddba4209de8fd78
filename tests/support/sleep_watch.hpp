// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/scheduler.hpp>

#include <memory>
#include <thread>

namespace siding_test {

/// Tells another thread when a loop has gone to sleep. Made in a step of that loop.
class SleepWatch {
 public:
  SleepWatch() : inbox_(siding::detail::current_scheduler->inbox) {}

  /// Blocks until the loop sleeps, or is about to: nothing but a wake-up can reach it then.
  void wait_until_asleep() const {
    while (!inbox_->is_asleep())
      std::this_thread::yield();
  }

 private:
  std::shared_ptr<siding::detail::Inbox> inbox_;
};

}  // namespace siding_test
