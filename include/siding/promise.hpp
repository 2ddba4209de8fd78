// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_state.hpp>
#include <siding/detail/promise_state.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>

#include <concepts>
#include <exception>
#include <type_traits>
#include <utility>

namespace siding {

/// The side of a future that gives it its outcome: for callbacks of other libraries, and for authors
/// of executors.
///
/// Move-only; one that was moved from throws InvalidStateError. The outcome is given once; a promise
/// that is destroyed without giving one fails its future with BrokenPromise.
/// Thread safety: distinct objects: safe. Shared objects: unsafe; its future may be used, and
/// cancelled, on any thread at the same time.
template <class T>
class Promise {
 public:
  /// A pending promise. Made on a loop's thread, that loop is told of an error nobody reads.
  Promise() : state_(new detail::PromiseState<T>()) {}
  Promise(Promise&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Promise& operator=(Promise&& other) noexcept {
    Promise old(std::move(*this));
    state_ = std::exchange(other.state_, nullptr);
    return *this;
  }
  ~Promise() {
    if (state_ != nullptr) state_->abandon();
  }

  /// A handle to the outcome; any number of them.
  Future<T> future() const {
    some().retain();
    return detail::FutureAccess::adopt<T>(state_);
  }

  /// Says that the work begins: from now on the future is running() and cancel() says no. False: it
  /// was cancelled, do not begin.
  bool start() const { return some().start(); }

  /// Gives the value, made from `value...`. Throws: InvalidStateError if there is an outcome, also
  /// if it was cancelled.
  template <class... U>
    requires(!std::is_lvalue_reference_v<T> && std::constructible_from<detail::stored_t<T>, U...>)
  void set_value(U&&... value) {
    some().set_value(std::forward<U>(value)...);
  }
  template <class Reference = T>
    requires std::is_lvalue_reference_v<Reference>
  void set_value(std::type_identity_t<Reference> value) {
    some().set_value(&value);
  }
  /// Gives an error. Throws: InvalidStateError as set_value().
  void set_exception(std::exception_ptr error) { some().set_exception(std::move(error)); }
  /// Ends the future as cancelled. Throws: InvalidStateError as set_value().
  void set_cancelled() { some().set_cancelled(); }

 private:
  detail::PromiseState<T>& some() const {
    if (state_ == nullptr) [[unlikely]] detail::throw_no_promise();
    return *state_;
  }

  detail::PromiseState<T>* state_;
};

}  // namespace siding
