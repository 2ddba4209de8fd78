// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/node.hpp>

#include "ring.hpp"

#include <signal.h>

#include <functional>

namespace siding::detail {

class Loop;

/// Tells SIGINT to a loop, in the stretches between begin() and end(), instead of letting it end
/// the process. Must live until the loop is closed.
class InterruptWatch {
 public:
  explicit InterruptWatch(Loop& loop) noexcept : loop_(loop) {}
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// Takes SIGINT over if this is the main thread and SIGINT has its default action; else does
  /// nothing. `on_interrupt` is called on the loop with the number of interrupts since.
  void begin(std::function<void(int)> on_interrupt);
  /// Restores the default action.
  void end() noexcept;
  int count() const noexcept { return count_; }

 private:
  // The ring's view: the eventfd that the handler writes can be read. And the loop's: take the
  // count out in the next iteration.
  struct Readable final : Operation, Node {
    explicit Readable(InterruptWatch& owner) noexcept : watch(owner) {}
    void complete(int result, std::uint32_t flags) noexcept override;
    void run() noexcept override;
    void refuse() noexcept override {}
    InterruptWatch& watch;
  };

  void watch_event_fd();

  Loop& loop_;
  std::function<void(int)> on_interrupt_;
  Readable readable_{*this};
  struct sigaction before_ {};
  int count_ = 0;
  bool active_ = false;
};

}  // namespace siding::detail
