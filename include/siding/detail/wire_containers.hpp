// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/wire_codec.hpp>
#include <siding/detail/wire_refusal.hpp>
#include <siding/detail/wire_stream.hpp>
#include <siding/detail/wire_traits.hpp>
#include <siding/detail/wire_values.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

// The codecs of the standard library's containers: a count of 64 bits, then the elements.

namespace siding::detail {

/// How many elements to make room for in advance. The bytes left bound it, so that a count alone
/// makes nobody allocate: an element may take one byte in the message and thousands in memory.
template <class Element>
std::size_t room_for(std::size_t count, const WireReader& reader) {
  return std::min(count, (4 * reader.left() + 4096) / sizeof(Element));
}

/// Refuses what no reader would take: more elements without content than are allowed.
template <class Element>
void check_empty(std::size_t count, std::size_t bytes) {
  if constexpr (min_size_v<Element> == 0) {
    if (count > bytes + wire_empty_limit)
      throw_wire_error("a container has more than 65536 elements without content");
  }
}

template <class Container, class Element>
void write_elements(WireWriter& writer, const Container& value, std::size_t count) {
  writer.length(count);
  const std::size_t before = writer.size();
  for (const Element& element : value)
    writer.value(element);
  check_empty<Element>(count, writer.size() - before);
}

/// Calls `add(element)` for each element.
template <class Element, class Add>
void read_elements(WireReader& reader, std::size_t count, Add add) {
  for (std::size_t i = 0; i < count; ++i)
    add(reader.value<Element>());
}

template <class C, class Traits, class Allocator>
struct Codec<std::basic_string<C, Traits, Allocator>> {
  using Text = std::basic_string<C, Traits, Allocator>;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const Text& value) {
    writer.length(value.size());
    writer.bytes(value.data(), value.size() * sizeof(C));
  }
  static Text read(WireReader& reader) {
    const std::size_t count = reader.length(sizeof(C));
    const std::byte* bytes = reader.take(count * sizeof(C));
    if constexpr (sizeof(C) == 1) {
      return Text(reinterpret_cast<const C*>(bytes), count);
    } else {
      Text value(count, C());
      std::memcpy(value.data(), bytes, count * sizeof(C));
      return value;
    }
  }
};

template <class T, class Allocator>
struct Codec<std::vector<T, Allocator>> {
  using Vector = std::vector<T, Allocator>;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const Vector& value) {
    if constexpr (plain_v<T>) {
      writer.length(value.size());
      writer.align(run_alignment<T>);
      writer.bytes(value.data(), value.size() * sizeof(T));
    } else {
      write_elements<Vector, T>(writer, value, value.size());
    }
  }
  static Vector read(WireReader& reader) {
    const std::size_t count = reader.length(min_size_v<T>);
    if constexpr (plain_v<T>) {
      reader.align(run_alignment<T>);
      const std::byte* bytes = reader.take(count * sizeof(T));
      // Made of aligned elements it is one copy; else its zeros are made first.
      if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) == 0) {
        const T* elements = reinterpret_cast<const T*>(bytes);
        return Vector(elements, elements + count);
      }
      Vector value(count);
      std::memcpy(static_cast<void*>(value.data()), bytes, count * sizeof(T));
      return value;
    } else {
      Vector value;
      value.reserve(room_for<T>(count, reader));
      read_elements<T>(reader, count, [&](T&& element) { value.push_back(std::move(element)); });
      return value;
    }
  }
};

/// As bits.
template <class Allocator>
struct Codec<std::vector<bool, Allocator>> {
  using Vector = std::vector<bool, Allocator>;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const Vector& value) {
    writer.value<std::uint64_t>(value.size());
    for (std::size_t begin = 0; begin < value.size(); begin += 8) {
      unsigned byte = 0;
      for (std::size_t i = begin; i < std::min(value.size(), begin + 8); ++i)
        byte |= static_cast<unsigned>(value[i]) << (i - begin);
      writer.value(static_cast<unsigned char>(byte));
    }
  }
  static Vector read(WireReader& reader) {
    const auto count = reader.value<std::uint64_t>();
    if (count > std::uint64_t{reader.left()} * 8) throw_wire_length(count, reader.left());
    Vector value(static_cast<std::size_t>(count));
    for (std::size_t begin = 0; begin < value.size(); begin += 8) {
      const auto byte = reader.value<unsigned char>();
      for (std::size_t i = begin; i < std::min(value.size(), begin + 8); ++i)
        value[i] = ((byte >> (i - begin)) & 1U) != 0;
    }
    return value;
  }
};

/// deque, list.
template <class List, class T>
struct ListCodec {
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const List& value) {
    write_elements<List, T>(writer, value, value.size());
  }
  static List read(WireReader& reader) {
    const std::size_t count = reader.length(min_size_v<T>);
    List value;
    read_elements<T>(reader, count, [&](T&& element) { value.push_back(std::move(element)); });
    return value;
  }
};
template <class T, class Allocator>
struct Codec<std::deque<T, Allocator>> : ListCodec<std::deque<T, Allocator>, T> {};
template <class T, class Allocator>
struct Codec<std::list<T, Allocator>> : ListCodec<std::list<T, Allocator>, T> {};

template <class T, class Allocator>
struct Codec<std::forward_list<T, Allocator>> {
  using List = std::forward_list<T, Allocator>;
  static constexpr Refusal refusal = Refusal::none;
  using parts = TypeList<T>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const List& value) {
    const auto count = static_cast<std::size_t>(std::distance(value.begin(), value.end()));
    write_elements<List, T>(writer, value, count);
  }
  static List read(WireReader& reader) {
    const std::size_t count = reader.length(min_size_v<T>);
    List value;
    auto last = value.before_begin();
    read_elements<T>(reader, count,
                     [&](T&& element) { last = value.insert_after(last, std::move(element)); });
    return value;
  }
};

/// Comparators and hash functions are made anew on the other side, so they must not have a state.
template <class... Function>
inline constexpr Refusal function_refusal =
    (std::is_empty_v<Function> && ...) ? Refusal::none
                                       : Refusal::a_container_with_a_stateful_comparator_or_hash;

inline void check_keys(bool all_there) {
  if (!all_there) throw_wire_error("a message is damaged: a key comes twice in a container");
}

template <class Set, class... Function>
struct SetCodec {
  using Key = typename Set::key_type;
  static constexpr Refusal refusal = function_refusal<Function...>;
  using parts = TypeList<Key>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const Set& value) {
    write_elements<Set, Key>(writer, value, value.size());
  }
  static Set read(WireReader& reader) {
    const std::size_t count = reader.length(min_size_v<Key>);
    Set value;
    read_elements<Key>(reader, count,
                       [&](Key&& key) { value.emplace_hint(value.end(), std::move(key)); });
    check_keys(value.size() == count);
    return value;
  }
};

template <class Map, class... Function>
struct MapCodec {
  using Key = typename Map::key_type;
  using Mapped = typename Map::mapped_type;
  static constexpr Refusal refusal = function_refusal<Function...>;
  using parts = TypeList<Key, Mapped>;
  static constexpr bool plain = false;
  static constexpr std::size_t min_size = sizeof(std::uint64_t);

  static void write(WireWriter& writer, const Map& value) {
    write_elements<Map, typename Map::value_type>(writer, value, value.size());
  }
  static Map read(WireReader& reader) {
    const std::size_t count = reader.length(min_size_v<Key> + min_size_v<Mapped>);
    Map value;
    for (std::size_t i = 0; i < count; ++i) {
      Key key = reader.value<Key>();
      value.emplace_hint(value.end(), std::move(key), reader.value<Mapped>());
    }
    check_keys(value.size() == count);
    return value;
  }
};

template <class K, class C, class A>
struct Codec<std::set<K, C, A>> : SetCodec<std::set<K, C, A>, C> {};
template <class K, class C, class A>
struct Codec<std::multiset<K, C, A>> : SetCodec<std::multiset<K, C, A>, C> {};
template <class K, class H, class E, class A>
struct Codec<std::unordered_set<K, H, E, A>> : SetCodec<std::unordered_set<K, H, E, A>, H, E> {};
template <class K, class H, class E, class A>
struct Codec<std::unordered_multiset<K, H, E, A>>
    : SetCodec<std::unordered_multiset<K, H, E, A>, H, E> {};
template <class K, class T, class C, class A>
struct Codec<std::map<K, T, C, A>> : MapCodec<std::map<K, T, C, A>, C> {};
template <class K, class T, class C, class A>
struct Codec<std::multimap<K, T, C, A>> : MapCodec<std::multimap<K, T, C, A>, C> {};
template <class K, class T, class H, class E, class A>
struct Codec<std::unordered_map<K, T, H, E, A>>
    : MapCodec<std::unordered_map<K, T, H, E, A>, H, E> {};
template <class K, class T, class H, class E, class A>
struct Codec<std::unordered_multimap<K, T, H, E, A>>
    : MapCodec<std::unordered_multimap<K, T, H, E, A>, H, E> {};

}  // namespace siding::detail
