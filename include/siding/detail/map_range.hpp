// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/submit.hpp>
#include <siding/future.hpp>
#include <siding/time.hpp>

#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace siding::detail {

/// The results of `Executor::map`, in input order: an input range that is walked once.
template <class T>
class [[nodiscard("the range holds the calls: destroying it cancels those that have not started")]]
MapRange {
 public:
  class iterator {
   public:
    using value_type = std::remove_cvref_t<T>;
    using difference_type = std::ptrdiff_t;
    using reference = T;

    iterator() = default;
    /// Waits for the result and takes it: once per step.
    T operator*() const { return range_->take(place_); }
    iterator& operator++() noexcept {
      ++place_;
      return *this;
    }
    void operator++(int) noexcept { ++place_; }
    bool operator==(std::default_sentinel_t) const noexcept {
      return place_ == range_->calls_.size();
    }

   private:
    friend MapRange;
    explicit iterator(MapRange& range) noexcept : range_(&range) {}
    MapRange* range_ = nullptr;
    std::size_t place_ = 0;
  };

  MapRange(std::vector<Future<T>> calls, Limit timeout)
      : calls_(std::move(calls)), deadline_(deadline(Clock::now(), timeout)) {}
  MapRange(MapRange&&) noexcept = default;
  MapRange& operator=(MapRange&&) = delete;
  ~MapRange() {
    for (Future<T>& call : calls_) {
      if (call.valid() && !call.done()) call.cancel();
    }
  }

  iterator begin() noexcept { return iterator(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  T take(std::size_t place) {
    Limit left;
    if (deadline_.has_value()) left = *deadline_ - Clock::now();
    return std::move(calls_[place]).get(left);
  }

  std::vector<Future<T>> calls_;
  std::optional<TimePoint> deadline_;
};

template <class F, class... R>
using map_result_t = call_result_t<F&, std::ranges::range_reference_t<R>...>;

template <class F, class... R>
MapRange<map_result_t<F, R...>> map_calls(Executor& executor, const MapOptions& options, F&& fn,
                                          R&&... inputs) {
  using T = map_result_t<F, R...>;
  std::vector<Future<T>> calls;
  std::tuple begins(std::ranges::begin(inputs)...);
  const std::tuple ends(std::ranges::end(inputs)...);
  constexpr auto indices = std::index_sequence_for<R...>();
  const auto any_at_end = [&]<std::size_t... i>(std::index_sequence<i...>) {
    return ((std::get<i>(begins) == std::get<i>(ends)) || ...);
  };
  const auto submit_one = [&]<std::size_t... i>(std::index_sequence<i...>) {
    calls.push_back(submit_call<BoundCall<F&, std::ranges::range_reference_t<R>...>>(
        executor, FutureState::Origin::call, nullptr, CallOptions{}, fn, *std::get<i>(begins)...));
    (++std::get<i>(begins), ...);
  };
  try {
    while (!any_at_end(indices)) submit_one(indices);
  } catch (...) {
    MapRange<T> abandoned(std::move(calls), {});  // cancels what was submitted before
    throw;
  }
  return MapRange<T>(std::move(calls), options.timeout);
}

}  // namespace siding::detail
