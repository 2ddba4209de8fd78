// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_containers.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>

#include <cstddef>
#include <queue>
#include <stack>
#include <utility>

// The codecs of the standard library's container adaptors: as the container inside.

namespace siding::detail {

/// The container inside an adaptor, which the standard library keeps for derived classes.
template <class Adaptor>
struct Inside : Adaptor {
  static const typename Adaptor::container_type& of(const Adaptor& adaptor) {
    return adaptor.*(&Inside::c);
  }
};

template <class Adaptor>
struct AdaptorCodec {
  using Container = typename Adaptor::container_type;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<Container>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = min_size_v<Container>;

  static void write(WireWriter& writer, const Adaptor& value) {
    writer.value(Inside<Adaptor>::of(value));
  }
  static Adaptor read(WireReader& reader) { return Adaptor(reader.value<Container>()); }
};

template <class T, class Container>
struct Codec<std::stack<T, Container>> : AdaptorCodec<std::stack<T, Container>> {};
template <class T, class Container>
struct Codec<std::queue<T, Container>> : AdaptorCodec<std::queue<T, Container>> {};

/// The order is made anew, so damaged bytes make no broken heap.
template <class T, class Container, class Compare>
struct Codec<std::priority_queue<T, Container, Compare>>
    : AdaptorCodec<std::priority_queue<T, Container, Compare>> {
  using Adaptor = std::priority_queue<T, Container, Compare>;
  static constexpr Refusal refusal = function_refusal<Compare>;
  static Adaptor read(WireReader& reader) {
    return Adaptor(Compare(), reader.value<Container>());
  }
};

}  // namespace siding::detail
