// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/future_state.hpp>
#include <siding/detail/inbox.hpp>
#include <siding/detail/node.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace siding::detail {

/// Takes note of futures in the order in which they are done, for one thread or one task that waits
/// for some of them: what `as_completed`, a blocking `wait` and an unordered `map` are made of.
///
/// A note is taken in the thread that completes, under a lock of its own, and wakes only when there
/// are as many as are waited for. The notes live in a block on the heap that is counted: whoever
/// waits may have gone while a completion of another thread is on its way.
///
/// Thread safety: one thread at a time, besides those that complete.
class SIDING_EXPORT Completions {
 public:
  explicit Completions(std::size_t places);
  Completions(Completions&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Completions& operator=(Completions&&) = delete;
  ~Completions();

  /// Takes note of `state` under the number `place`, which is free. Somebody has to hold a handle
  /// to it until the place was popped, or this object has gone.
  void watch(FutureState& state, std::size_t place) noexcept;

  /// The place of the one that was done first and has not been popped; none if there is none.
  std::optional<std::size_t> pop() noexcept;

  /// Blocks a plain thread until `count` places can be popped, or, if `or_error`, one that failed.
  ///
  /// Returns: false if the time came first.
  /// Throws: WouldBlockLoop, which names `what`, where it would have to block the thread of a
  ///   running loop; InvalidStateError if somebody waits already.
  bool block(std::size_t count, bool or_error, std::optional<TimePoint> until,
             std::string_view what);

  /// Posts `node` to the loop behind `inbox` as soon as a place can be popped. False: one can be
  /// now. Throws InvalidStateError if somebody waits already.
  bool post_when_ready(Node& node, Inbox& inbox);
  /// Takes that back. False: nothing was asked for, or the node is on its way.
  bool cancel_post() noexcept;

  /// Whether it watches a call of an executor that is not done.
  bool watches_call() const noexcept;

 private:
  struct Block;
  Block* block_;
};

}  // namespace siding::detail
