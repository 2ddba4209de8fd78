// SPDX-License-Identifier: MIT
#include "arena.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <map>
#include <optional>
#include <random>

#include "support/seed.hpp"

namespace siding_test::arena_test {
namespace {

using siding::detail::Arena;

TEST_SUITE("Arena") {
  TEST_CASE("pieces begin at cache lines, one behind the other, and the lowest free place is next") {
    Arena arena(1024);
    CHECK(arena.take(1) == 0U);
    CHECK(arena.take(65) == 64U);
    CHECK(arena.take(64) == 192U);
    arena.give_back(64);
    CHECK(arena.take(64) == 64U);
    CHECK(arena.take(128) == 256U);
    CHECK(arena.take(64) == 128U);
  }

  TEST_CASE("it is full when no gap is large enough, and whole again when all came back") {
    Arena arena(256);
    CHECK(arena.take(257) == std::nullopt);
    CHECK(arena.take(256) == 0U);
    CHECK(arena.take(1) == std::nullopt);
    arena.give_back(0);
    CHECK(arena.empty());
    CHECK(arena.take(0) == 0U);
    CHECK(arena.take(192) == 64U);
    arena.give_back(0);
    arena.give_back(64);
    CHECK(arena.empty());
  }

  TEST_CASE("whatever is taken and given back, no two pieces overlap and none leaves the arena") {
    const unsigned seed = siding_test::random_seed();
    INFO("SIDING_TEST_SEED=", seed);
    std::minstd_rand random(seed);
    constexpr std::size_t size = 1 << 16;
    Arena arena(size);
    std::map<std::size_t, std::size_t> taken;
    for (int round = 0; round < 20'000; ++round) {
      if (random() % 2 == 0 && !taken.empty()) {
        const auto any = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
        arena.give_back(any->first);
        taken.erase(any);
        continue;
      }
      const std::size_t length = random() % 5000;
      const std::optional<std::size_t> begin = arena.take(length);
      if (!begin.has_value()) continue;
      REQUIRE(*begin + length <= size);
      const auto next = taken.lower_bound(*begin);
      if (next != taken.end()) REQUIRE(*begin + length <= next->first);
      if (next != taken.begin()) REQUIRE(std::prev(next)->first + std::prev(next)->second <= *begin);
      taken[*begin] = length;
    }
    while (!taken.empty()) {
      arena.give_back(taken.begin()->first);
      taken.erase(taken.begin());
    }
    CHECK(arena.empty());
  }
}

}  // namespace
}  // namespace siding_test::arena_test
