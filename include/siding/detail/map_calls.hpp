// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/completions.hpp>
#include <siding/future.hpp>
#include <siding/time.hpp>

#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace siding::detail {

/// A call of a `map`, and for how many results it stands.
template <class T>
struct MapCall {
  Future<T> future;
  std::size_t results = 0;     // 0: there was nothing left to call for
  std::exception_ptr refusal;  // instead of the future: why there is none

  T take() {
    if (refusal) std::rethrow_exception(refusal);
    return std::move(future).result();
  }
};

/// Where the calls of a `map` come from: submits one for the next inputs.
template <class T>
class MapSource {
 public:
  MapSource() = default;
  MapSource(const MapSource&) = delete;
  MapSource& operator=(const MapSource&) = delete;
  virtual ~MapSource() = default;
  virtual MapCall<T> submit_next() = 0;
};

/// Throws std::invalid_argument unless the chunk is at least 1.
SIDING_EXPORT void check_map_options(const MapOptions& options);
[[noreturn]] SIDING_EXPORT void throw_map_late();
[[noreturn]] SIDING_EXPORT void throw_map_taken();
[[noreturn]] SIDING_EXPORT void throw_inputs_not_kept();
SIDING_EXPORT void check_chunk(std::size_t results, std::size_t expected);

/// The calls of a `map` that were submitted and not taken yet, in their order or in that of their
/// completion. With a buffer there are never more than that, and taking one submits the next.
template <class T>
class MapCalls {
 public:
  /// Submits all calls, or as many as the buffer has room for. Throws what the executor refuses
  /// with, or the inputs throw; then those submitted are cancelled.
  MapCalls(MapSource<T>& source, const MapOptions& options)
      : until_(deadline(Clock::now(), options.timeout)) {
    const std::size_t most =
        options.buffer != 0 ? options.buffer : std::numeric_limits<std::size_t>::max();
    try {
      while (ring_.size() < most) {
        MapCall<T> call = source.submit_next();
        if (call.results == 0) break;
        ring_.push_back(std::move(call));
      }
    } catch (...) {
      cancel_all();
      throw;
    }
    left_ = ring_.size();
    if (options.unordered) {
      completions_.emplace(ring_.size());
      for (std::size_t i = 0; i < ring_.size(); ++i) watch(i);
    }
  }
  MapCalls(const MapCalls&) = delete;
  MapCalls& operator=(const MapCalls&) = delete;
  ~MapCalls() { cancel_all(); }

  /// From now on each call that is taken is followed by another one from here.
  void refill_from(std::unique_ptr<MapSource<T>> source) noexcept { source_ = std::move(source); }

  /// Whether there is nothing left to take.
  bool ended() const noexcept { return left_ == 0 && !refusal_; }

  /// The next call, which is done. At the very end, if it was so, what the executor refused a call
  /// with, or the inputs threw. Throws TimeoutError and WouldBlockLoop; then nothing has changed.
  MapCall<T> take() {
    if (left_ == 0) return {{}, 1, std::exchange(refusal_, nullptr)};
    const std::size_t place = wait();
    MapCall<T> call = std::move(ring_[place]);
    refill(place);
    return call;
  }

  /// Passes over the next call, which runs on unread. Which one that is shows, where they come as
  /// they complete, only when it is done: there this is as take().
  void skip() {
    if (completions_.has_value() || left_ == 0) {
      static_cast<void>(take());
    } else {
      ring_[first_] = {};
      refill(first_);
    }
  }

 private:
  // The place of the next call, once it is done.
  std::size_t wait() {
    if (completions_.has_value()) {
      if (!completions_->block(1, false, until_, "a step of map()")) throw_map_late();
      return *completions_->pop();
    }
    Limit left;
    if (until_.has_value()) left = *until_ - Clock::now();
    FutureAccess::state(ring_[first_].future)->wait_blocking(left);
    return first_;
  }

  void refill(std::size_t place) noexcept {
    if (!completions_.has_value()) first_ = first_ + 1 < ring_.size() ? first_ + 1 : 0;
    --left_;
    if (source_ == nullptr) return;
    try {
      MapCall<T> call = source_->submit_next();
      if (call.results != 0) {
        ring_[place] = std::move(call);
        ++left_;
        if (completions_.has_value()) watch(place);
        return;
      }
    } catch (...) {
      refusal_ = std::current_exception();
    }
    source_ = nullptr;
  }

  void watch(std::size_t place) noexcept {
    completions_->watch(*FutureAccess::state(ring_[place].future), place);
  }

  void cancel_all() noexcept {
    completions_.reset();
    for (MapCall<T>& call : ring_) {
      if (call.future.valid() && !call.future.done()) call.future.cancel();
    }
  }

  std::vector<MapCall<T>> ring_;
  std::optional<Completions> completions_;  // after the calls, which it looks at
  std::unique_ptr<MapSource<T>> source_;    // null once it has ended
  std::exception_ptr refusal_;
  std::optional<TimePoint> until_;
  std::size_t first_ = 0;  // the next in order
  std::size_t left_ = 0;   // submitted, and neither taken nor passed over
};

}  // namespace siding::detail
