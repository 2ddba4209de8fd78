// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/completion_source.hpp>
#include <siding/detail/signal_handler.hpp>

#include <signal.h>

#include <cstdint>
#include <map>
#include <memory>

namespace siding::detail {

/// The signals that one loop has asked for. Loop thread only.
class SignalSource final : public CompletionSource {
 public:
  explicit SignalSource(Scheduler& scheduler);
  ~SignalSource();

  void add(int signal, std::shared_ptr<SignalHandler> handler);
  bool remove(int signal) noexcept;
  bool has(int signal) const noexcept { return handlers_.contains(signal); }

  // The loop, when it begins and ends to run: signals wait until it runs again.
  void attach() noexcept override {}
  void detach() noexcept override {}
  void loop_closed() noexcept override;
  bool has_mail() noexcept override;
  void collect() noexcept override;
  bool fall_asleep() noexcept override { return !has_mail(); }
  void reset_event() noexcept override;
  void wake() noexcept override;
  int event_fd() const noexcept override { return event_fd_; }
  bool ended() const noexcept override { return false; }  // for as long as the loop

 private:
  Scheduler& scheduler_;
  const std::uint32_t forks_;  // the copy in a child of the program has the parent's eventfd
  const int event_fd_;
  std::map<int, std::shared_ptr<SignalHandler>> handlers_;
};

/// The action of a signal that was found when a loop took it, and to which the loop would give it back,
/// is over, if it was `handler`: `instead` is given back in its place.
void replace_saved_action(int signal, void (*handler)(int), const struct sigaction& instead) noexcept;

}  // namespace siding::detail
