// SPDX-License-Identifier: MIT
#pragma once

#include "worker_region.hpp"

#include <mutex>
#include <stop_token>
#include <thread>

namespace siding::detail {

/// Trips the stop token of the call that runs, when the program asks for it.
class StopWatcher {
 public:
  explicit StopWatcher(RegionLayout& region) : region_(region) {
    std::thread([this] { watch(); }).detach();  // ends with the process
  }

  std::stop_token begin(Slot& slot) {
    const std::lock_guard lock(mutex_);
    source_ = std::stop_source();
    slot_ = &slot;
    if (slot.stop.load(std::memory_order_acquire) != 0) source_.request_stop();
    return source_.get_token();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    slot_ = nullptr;
  }

 private:
  void watch() {
    for (;;) {
      // acquire: pairs with the program's release, after it has set the slot's word.
      const std::uint32_t seen = region_.header.stop_requests.load(std::memory_order_acquire);
      std::stop_source asked(std::nostopstate);
      {
        const std::lock_guard lock(mutex_);
        if (slot_ != nullptr && slot_->stop.load(std::memory_order_acquire) != 0) asked = source_;
      }
      // Without the lock: callbacks of the token are the function's own code.
      if (asked.stop_possible()) asked.request_stop();
      futex_wait(region_.header.stop_requests, seen);
    }
  }

  RegionLayout& region_;
  std::mutex mutex_;
  std::stop_source source_;  // guarded by mutex_
  Slot* slot_ = nullptr;     // guarded by mutex_
};

}  // namespace siding::detail
