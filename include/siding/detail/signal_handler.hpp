// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/scheduled_call.hpp>
#include <siding/detail/variables.hpp>
#include <siding/export.hpp>

#include <memory>
#include <utility>

namespace siding::detail {

/// What a loop calls for a signal, or for a descriptor that is ready. Loop thread only.
class SIDING_EXPORT SignalHandler {
 public:
  SignalHandler() : variables_(current_variables()) {}
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;
  virtual ~SignalHandler();

  /// Unless it was removed meanwhile.
  void run() {
    if (removed_) return missed();
    const VariablesScope scope(variables_);
    call();
  }
  void remove() noexcept { removed_ = true; }
  /// The signal was raised before the handler was removed, and it was not told. Once at most.
  virtual void missed() noexcept {}

 private:
  virtual void call() = 0;

  const Variables variables_;  // of where it was registered
  bool removed_ = false;
};

template <class Fn>
class SignalFunction final : public SignalHandler {
 public:
  explicit SignalFunction(Fn&& fn) : fn_(std::move(fn)) { check_callback<Fn&>(); }

 private:
  void call() override { fn_(); }
  Fn fn_;
};

/// As EventLoop's functions of these names.
SIDING_EXPORT void add_signal_handler(Scheduler& scheduler, int signal,
                                      std::shared_ptr<SignalHandler> handler);
SIDING_EXPORT bool remove_signal_handler(Scheduler& scheduler, int signal);
SIDING_EXPORT bool has_signal_handler(Scheduler& scheduler, int signal);

}  // namespace siding::detail
