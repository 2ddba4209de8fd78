// SPDX-License-Identifier: MIT
#include "watchdog.hpp"

#include "loop.hpp"
#include "signals_blocked.hpp"
#include "task_dump.hpp"

#include <siding/log.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>

namespace siding::detail {

void Watchdog::check(Limit limit) {
  if (limit.has_value() && limit.value() < shortest) {
    throw std::invalid_argument(fmt::format(
        "LoopOptions::watchdog: {} is too short; take {} or more, or no limit for no watchdog",
        limit.value(), shortest));
  }
}

Watchdog::Watchdog(Loop& loop, std::chrono::nanoseconds limit) : loop_(loop), limit_(limit) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void Watchdog::watch() {
  std::uint64_t seen = 0;      // the beat at the latest look
  TimePoint since{};           // when that was seen first
  bool reported = false;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, limit_ / 4, [this] { return ending_; })) {
    const TimePoint now = Clock::now();
    const std::uint64_t beat = loop_.beat();
    if (beat != seen) {
      seen = beat;
      since = now;
      reported = false;
    } else if (Loop::beat_is_busy(beat) && !reported && now - since >= limit_) {
      reported = true;
      lock.unlock();  // the loop may be about to end
      report(now - since);
      lock.lock();
    }
  }
}

void Watchdog::report(std::chrono::nanoseconds length) noexcept {
  try {
    log(fmt::format("the loop has not come round for {:.3f} s: {}",
                    std::chrono::duration<double>(length).count(), describe_stuck_thread(loop_)));
  } catch (...) {
    log("the loop has not come round for a while, and there is no memory to say more");
  }
}

}  // namespace siding::detail
