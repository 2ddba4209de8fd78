// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/map_calls.hpp>
#include <siding/detail/map_chunk.hpp>
#include <siding/detail/submit.hpp>
#include <siding/future.hpp>

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace siding::detail {

/// The results of a `map`, one after the other.
template <class T>
class MapSteps {
 public:
  MapSteps() = default;
  MapSteps(const MapSteps&) = delete;
  MapSteps& operator=(const MapSteps&) = delete;
  virtual ~MapSteps() = default;

  virtual bool ended() const noexcept = 0;
  /// Waits for the next. Throws TimeoutError and WouldBlockLoop; then nothing has changed.
  virtual void fetch() = 0;
  /// What was fetched: its value, or throws its error.
  virtual T give() = 0;
  virtual void skip() = 0;
};

/// Where each call gives one result.
template <class T>
class SingleSteps final : public MapSteps<T> {
 public:
  SingleSteps(MapSource<T>& source, const MapOptions& options) : calls(source, options) {}

  bool ended() const noexcept override { return calls.ended(); }
  void fetch() override { call_ = calls.take(); }
  T give() override { return std::exchange(call_, {}).take(); }
  void skip() override { calls.skip(); }

  MapCalls<T> calls;

 private:
  MapCall<T> call_;
};

/// Where a call gives several.
template <class T>
class ChunkSteps final : public MapSteps<T> {
 public:
  ChunkSteps(MapSource<ChunkResults<T>>& source, const MapOptions& options)
      : calls(source, options) {}

  bool ended() const noexcept override { return left_ == 0 && calls.ended(); }

  void fetch() override {
    if (left_ != 0) return;
    MapCall<ChunkResults<T>> call = calls.take();
    left_ = call.results;
    error_ = nullptr;
    try {
      results_ = call.take();
      check_chunk(results_.items.size(), left_);
    } catch (...) {
      error_ = std::current_exception();  // of the whole chunk: each of its steps has it
    }
  }

  T give() override {
    const std::size_t left = left_--;
    if (error_) std::rethrow_exception(error_);
    ChunkItem<T>& item = results_.items[results_.items.size() - left];
    if (item.index() != 0) std::rethrow_exception(std::get<1>(item));
    if constexpr (!std::is_void_v<T>) return std::move(std::get<0>(item));
  }

  void skip() override {
    fetch();
    --left_;
  }

  MapCalls<ChunkResults<T>> calls;

 private:
  ChunkResults<T> results_;
  std::exception_ptr error_;
  std::size_t left_ = 0;  // of the chunk that was fetched
};

/// The results of `Executor::map`: an input range that is walked once.
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
    T operator*() const { return range_->take(); }
    /// A step that was not taken is passed over.
    iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { range_->advance(); }
    bool operator==(std::default_sentinel_t) const noexcept { return range_->ended(); }

   private:
    friend MapRange;
    explicit iterator(MapRange& range) noexcept : range_(&range) {}
    MapRange* range_ = nullptr;
  };

  explicit MapRange(std::unique_ptr<MapSteps<T>> steps) noexcept : steps_(std::move(steps)) {}

  iterator begin() noexcept { return iterator(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  bool ended() const noexcept { return !taken_ && steps_->ended(); }
  T take() {
    if (taken_) throw_map_taken();
    steps_->fetch();
    taken_ = true;
    return steps_->give();
  }
  void advance() {
    if (!std::exchange(taken_, false)) steps_->skip();
  }

  std::unique_ptr<MapSteps<T>> steps_;
  bool taken_ = false;  // the step at which the range stands
};

/// The inputs of a `map`, side by side, up to the shortest. `Held`: views, or references to ranges.
template <class... Held>
class MapInputs {
 public:
  template <class... R>
  explicit MapInputs(R&&... inputs) : ranges_(std::forward<R>(inputs)...) {}
  MapInputs(const MapInputs&) = delete;
  MapInputs& operator=(const MapInputs&) = delete;

  bool ended() {
    return std::apply([](const auto&... at) { return ((at.first == at.second) || ...); }, places_);
  }
  /// What `use` makes of the next of each.
  template <class Use>
  decltype(auto) read(Use use) {
    return std::apply([&use](auto&... at) -> decltype(auto) { return use(*at.first...); },
                      places_);
  }
  void step() {
    std::apply([](auto&... at) { (static_cast<void>(++at.first), ...); }, places_);
  }

 private:
  template <class H>
  using Place = std::pair<std::ranges::iterator_t<H>, std::ranges::sentinel_t<H>>;
  using Places = std::tuple<Place<std::remove_reference_t<Held>>...>;

  std::tuple<Held...> ranges_;
  Places places_ = std::apply(
      [](auto&... range) {
        return Places(Place<std::remove_reference_t<Held>>(std::ranges::begin(range),
                                                           std::ranges::end(range))...);
      },
      ranges_);
};

template <class F, class... R>
using map_result_t = call_result_t<F&, std::ranges::range_reference_t<R>...>;

/// One call for each row of inputs.
template <class F, class... Held>
class SingleSource final : public MapSource<map_result_t<F, Held...>> {
 public:
  template <class Fn, class... R>
  SingleSource(Executor& executor, std::size_t, Fn&& fn, R&&... inputs)
      : executor_(executor), fn_(std::forward<Fn>(fn)), inputs_(std::forward<R>(inputs)...) {}

  MapCall<map_result_t<F, Held...>> submit_next() override {
    if (inputs_.ended()) return {};
    auto future = inputs_.read([this]<class... A>(A&&... args) {
      return submit_call<BoundCall<F&, std::ranges::range_reference_t<Held>...>>(
          executor_, FutureState::Origin::call, nullptr, CallOptions{}, fn_,
          std::forward<A>(args)...);
    });
    inputs_.step();
    return {std::move(future), 1, nullptr};
  }

 private:
  Executor& executor_;
  F fn_;
  MapInputs<Held...> inputs_;
};

/// One call for several rows.
template <class F, class... Held>
class ChunkSource final : public MapSource<ChunkResults<map_result_t<F, Held...>>> {
  using Call = ChunkCall<F, kept_t<std::ranges::range_reference_t<Held>>...>;
  using Inputs = ChunkInputs<kept_t<std::ranges::range_reference_t<Held>>...>;

 public:
  template <class Fn, class... R>
  ChunkSource(Executor& executor, std::size_t size, Fn&& fn, R&&... inputs)
      : executor_(executor),
        size_(size),
        call_{std::forward<Fn>(fn)},
        inputs_(std::forward<R>(inputs)...) {}

  MapCall<typename Call::Results> submit_next() override {
    Inputs inputs;
    while (inputs.rows.size() < size_ && !inputs_.ended()) {
      inputs_.read([&inputs]<class... A>(A&&... args) {
        inputs.rows.emplace_back(Kept<A&&>::pass(args)...);
      });
      inputs_.step();
    }
    const std::size_t count = inputs.rows.size();
    if (count == 0) return {};
    return {submit_call<BoundCall<Call, Inputs>>(executor_, FutureState::Origin::call, nullptr,
                                                 CallOptions{}, Call(call_), std::move(inputs)),
            count, nullptr};
  }

 private:
  Executor& executor_;
  const std::size_t size_;
  Call call_;
  MapInputs<Held...> inputs_;
};

/// What is kept of an input: a view of it, where it can be one.
template <class R>
struct MapHeld {
  static constexpr bool kept = false;
  using type = std::remove_reference_t<R>&;
  static type pass(std::remove_reference_t<R>& range) noexcept { return range; }
};
template <class R>
  requires std::ranges::viewable_range<R>
struct MapHeld<R> {
  static constexpr bool kept = true;
  using type = std::views::all_t<R>;
  static type pass(std::remove_reference_t<R>& range) {
    return std::views::all(static_cast<R&&>(range));
  }
};

template <class Steps, class Source, class T, class... Parts>
MapRange<T> map_with(Executor& executor, const MapOptions& options, Parts&&... parts) {
  auto source = std::make_unique<Source>(executor, options.chunk, std::forward<Parts>(parts)...);
  auto steps = std::make_unique<Steps>(*source, options);
  if (options.buffer != 0) steps->calls.refill_from(std::move(source));
  return MapRange<T>(std::move(steps));
}

template <class F, class... R>
MapRange<map_result_t<F, R...>> map_calls(Executor& executor, const MapOptions& options, F&& fn,
                                          R&&... inputs) {
  using T = map_result_t<F, R...>;
  using Fn = std::decay_t<F>;
  check_map_options(options);
  if (options.buffer != 0 && !(MapHeld<R>::kept && ...)) throw_inputs_not_kept();
  if (options.chunk == 1) {
    return map_with<SingleSteps<T>, SingleSource<Fn, typename MapHeld<R>::type...>, T>(
        executor, options, std::forward<F>(fn), MapHeld<R>::pass(inputs)...);
  }
  return map_with<ChunkSteps<T>, ChunkSource<Fn, typename MapHeld<R>::type...>, T>(
      executor, options, std::forward<F>(fn), MapHeld<R>::pass(inputs)...);
}

}  // namespace siding::detail
