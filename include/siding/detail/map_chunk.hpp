// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/bound_call.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/remote_exception.hpp>
#include <siding/detail/wire_argument.hpp>
#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>

#include <unistd.h>

#include <cstddef>
#include <exception>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// Several calls of a `map` that go to a worker as one: inputs, function, results, and how they cross
// to another process. What one of the calls throws is kept in its place among the results.

namespace siding::detail {

/// The inputs of the calls, as they are kept.
template <class... A>
struct ChunkInputs {
  std::vector<std::tuple<A...>> rows;

  template <class Argument>
  static Argument&& pass(Argument& argument) noexcept {
    return std::move(argument);
  }
};

/// The same in another process.
template <class... A>
struct StoredChunkInputs {
  std::vector<std::tuple<typename WireArgument<A>::stored...>> rows;

  template <class Argument>
  static decltype(auto) pass(typename WireArgument<Argument>::stored& kept) noexcept {
    return WireArgument<Argument>::pass(kept);
  }
};

/// What one call gave: a value, or what it threw.
template <class T>
using ChunkItem = std::variant<stored_t<T>, std::exception_ptr>;

template <class T>
struct ChunkResults {
  using value_type = T;
  std::vector<ChunkItem<T>> items;
};

/// Calls the function for one row after the other, each time a copy of it, as if they were calls of
/// their own.
template <class F, class... A>
struct ChunkCall {
  static constexpr CallShape shape = call_shape<F, A...>();
  using Results = ChunkResults<call_result_t<F, A...>>;

  F fn;

  template <class Inputs>
    requires(shape == CallShape::plain)
  Results operator()(Inputs&& inputs) {
    return call_all(std::stop_token(), inputs);
  }
  template <class Inputs>
    requires(shape != CallShape::plain)
  Results operator()(std::stop_token token, Inputs&& inputs) {
    return call_all(token, inputs);
  }

 private:
  template <class Inputs>
  Results call_all(const std::stop_token& token, Inputs& inputs) {
    Results results;
    results.items.reserve(inputs.rows.size());
    for (auto& row : inputs.rows) {
      try {
        std::apply(
            [&](auto&... parts) {
              call<Inputs>(results, token, F(std::as_const(fn)), parts...);
            },
            row);
      } catch (...) {
        results.items.emplace_back(std::in_place_index<1>, std::current_exception());
      }
    }
    return results;
  }

  template <class Inputs, class... Parts>
  static void call(Results& results, const std::stop_token& token, F&& copy, Parts&... parts) {
    if constexpr (std::is_void_v<typename Results::value_type>) {
      make_call<shape>(token, std::move(copy), Inputs::template pass<A>(parts)...);
      results.items.emplace_back(std::in_place_index<0>);
    } else {
      results.items.emplace_back(
          std::in_place_index<0>,
          make_call<shape>(token, std::move(copy), Inputs::template pass<A>(parts)...));
    }
  }
};

// How they cross.

template <class... A>
struct WireArgument<ChunkInputs<A...>> {
  using stored = StoredChunkInputs<A...>;

  template <class First, class... Rest>
  static consteval auto first_refused_argument() {
    using Found = typename WireArgument<First>::Reason;
    if constexpr (Found::because != Refusal::none || sizeof...(Rest) == 0) {
      return Found();
    } else {
      return first_refused_argument<Rest...>();
    }
  }
  using Reason = decltype(first_refused_argument<A...>());

  static void write(WireWriter& writer, const ChunkInputs<A...>& inputs) {
    writer.length(inputs.rows.size());
    for (const auto& row : inputs.rows) {
      std::apply([&writer](const A&... parts) { (WireArgument<A>::write(writer, parts), ...); },
                 row);
    }
  }
  static stored read(WireReader& reader) {
    stored inputs;
    const std::size_t count = reader.length(0);
    for (std::size_t i = 0; i < count; ++i) {
      // In braces: in order.
      inputs.rows.push_back(
          std::tuple<typename WireArgument<A>::stored...>{WireArgument<A>::read(reader)...});
    }
    return inputs;
  }
  static stored& pass(stored& kept) noexcept { return kept; }
};

template <class F, class... A>
struct WireCallable<ChunkCall<F, A...>> {
  using Reason = typename WireCallable<F>::Reason;

  static void write(WireWriter& writer, const ChunkCall<F, A...>& call) {
    WireCallable<F>::write(writer, call.fn);
  }
  static ChunkCall<F, A...> read(WireReader& reader) { return {WireCallable<F>::read(reader)}; }
};

template <class T>
struct Codec<ChunkResults<T>> {
  static constexpr Refusal refusal = Refusal::none;
  using parts = std::conditional_t<std::is_void_v<T>, TypeList<>, TypeList<T>>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const ChunkResults<T>& results) {
    writer.length(results.items.size());
    for (const ChunkItem<T>& item : results.items) {
      writer.value(item.index() == 0);
      if (item.index() != 0) {
        writer.value(::getpid());
        encode_exception(writer, std::get<1>(item));
      } else if constexpr (!std::is_void_v<T>) {
        writer.value(std::get<0>(item));
      }
    }
  }
  static ChunkResults<T> read(WireReader& reader) {
    ChunkResults<T> results;
    const std::size_t count = reader.length(1);
    for (std::size_t i = 0; i < count; ++i) {
      if (!read_bool(reader)) {
        const auto pid = reader.value<pid_t>();
        results.items.emplace_back(std::in_place_index<1>, decode_exception(reader, pid, {}));
      } else if constexpr (std::is_void_v<T>) {
        results.items.emplace_back(std::in_place_index<0>);
      } else {
        results.items.emplace_back(std::in_place_index<0>, reader.value<T>());
      }
    }
    return results;
  }
};

}  // namespace siding::detail
