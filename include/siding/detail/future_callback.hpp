// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_state.hpp>
#include <siding/detail/variables.hpp>
#include <siding/export.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

namespace siding {
class AnyFuture;
}

namespace siding::detail {

/// A done-callback, linked into its future until that is done. It frees itself.
class SIDING_EXPORT CallbackBase : public FutureWaiter, public Recycled {
 public:
  virtual ~CallbackBase();

  std::uint64_t callback_id() const noexcept override { return id_; }
  void run() noexcept override;
  void refuse() noexcept override { delete this; }

  /// Links it, or runs or posts it if the state is done. Gives up ownership.
  static std::uint64_t add(std::unique_ptr<CallbackBase> callback, FutureState& state) noexcept;

 protected:
  CallbackBase();
  virtual void call() = 0;
  virtual const AnyFuture& future() const noexcept = 0;

 private:
  std::shared_ptr<Inbox> loop_;  // counted: a callback may outlive the loop it is for
  std::uint64_t id_;
  Variables variables_;  // of where it was registered
};

template <class Handle, class Fn>
class Callback final : public CallbackBase {
 public:
  Callback(const Handle& future, Fn&& fn) : future_(future), fn_(std::move(fn)) {}

 private:
  void call() override {
    if constexpr (std::invocable<Fn&, const Handle&>) {
      fn_(std::as_const(future_));
    } else {
      fn_();
    }
  }
  const AnyFuture& future() const noexcept override { return future_; }

  Handle future_;
  Fn fn_;
};

template <class Handle, class Fn>
std::uint64_t add_callback(const Handle& future, FutureState& state, Fn&& fn) {
  return CallbackBase::add(std::make_unique<Callback<Handle, Fn>>(future, std::move(fn)), state);
}

SIDING_EXPORT bool remove_callback(FutureState& state, std::uint64_t id) noexcept;

}  // namespace siding::detail
