// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace siding {

namespace detail {
struct JobNode;
struct LimiterAccess;
class LimiterCore;
}  // namespace detail

/// Lets so many awaited calls run at once, whatever the size of the pools that they go to.
///
/// Name it in the options of a call: `co_await to_thread({.limiter = &limiter}, fn)`. A call that
/// finds no room waits in its task, outside of any pool, until one that was let in has ended; who
/// came first is let in first. A call counts until its function has returned, also where its await
/// was given up with OnCancel::abandon.
///
/// Thread safety: distinct objects: safe. Shared objects: safe; loops on several threads may share
/// one.
/// Cancellation: a call that waits for room leaves at once.
/// Lifetime: must outlive the awaits that name it; calls that were abandoned may outlive it.
/// See: anyio's CapacityLimiter, and trio's.
class SIDING_EXPORT Limiter {
 public:
  /// Parameters:
  ///   total  how many calls may run at once, at least 1.
  /// Throws: std::invalid_argument if it is 0.
  explicit Limiter(std::size_t total);
  Limiter(const Limiter&) = delete;
  Limiter& operator=(const Limiter&) = delete;
  ~Limiter();

  std::size_t total() const noexcept;
  /// Changes the limit. If it grows, calls that wait are let in; if it shrinks, those that run are
  /// left alone. Throws: std::invalid_argument if it is 0.
  void set_total(std::size_t total);
  /// Calls that were let in and have not ended.
  std::size_t borrowed() const noexcept;
  /// Calls that wait to be let in.
  std::size_t waiting() const noexcept;

 private:
  friend struct detail::LimiterAccess;
  const std::shared_ptr<detail::LimiterCore> core_;
};

namespace detail {

/// The room of one call in a limiter; empty if there is no limiter.
class SIDING_EXPORT LimiterPermit {
 public:
  LimiterPermit() noexcept = default;
  explicit LimiterPermit(std::shared_ptr<LimiterCore> core) noexcept : core_(std::move(core)) {}
  LimiterPermit(LimiterPermit&&) noexcept = default;
  LimiterPermit& operator=(LimiterPermit&&) = delete;
  ~LimiterPermit() { give_back(); }

  explicit operator bool() const noexcept { return core_ != nullptr; }
  void give_back() noexcept;

 private:
  std::shared_ptr<LimiterCore> core_;
};

struct SIDING_EXPORT LimiterAccess {
  /// Lets a call in, or has `node` wait: then it is posted to the loop that awaits it when it was
  /// let in. Loop thread.
  static bool borrow(Limiter& limiter, JobNode& node) noexcept;
  /// Takes a node that waits back. False: it was let in, and is on its way.
  static bool withdraw(Limiter& limiter, JobNode& node) noexcept;
  static void give_back(Limiter& limiter) noexcept;
  /// For a call that was let in.
  static LimiterPermit permit(Limiter& limiter) noexcept { return LimiterPermit(limiter.core_); }
};

}  // namespace detail
}  // namespace siding
