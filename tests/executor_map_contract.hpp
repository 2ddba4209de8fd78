// SPDX-License-Identifier: MIT
#pragma once

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>

#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/executor_subject.hpp"
#include "support/gate.hpp"
#include "support/limits.hpp"

// What map() must do on every executor.

namespace siding_test {

namespace map_calls {

inline int square(int n) { return n * n; }
inline int add(int a, int b) { return a + b; }
inline int power(int base, int exponent) {
  return exponent == 0 ? 1 : base * power(base, exponent - 1);
}
inline std::string spell(std::string_view text, const char* end) { return std::string(text) + end; }
inline int divide(int a, int b) {
  if (b == 0) throw std::domain_error("division by zero");
  return a / b;
}
inline int arrive_with(GateKey key, int value) {
  arrive(key);
  return value;
}

/// What a map gives, as a vector.
template <class Range>
auto all_of(Range&& results) {
  std::vector<typename std::remove_cvref_t<decltype(results.begin())>::value_type> values;
  for (auto&& value : results)
    values.push_back(std::move(value));
  return values;
}

}  // namespace map_calls

// EX-004, EX-005
CONTRACT_TEST_CASE_DEFINE("map gives results in the order of its inputs, up to the shortest", F,
                          contract_map) {
  const Subject<F> executor(3);
  const std::vector numbers{3, 2, 1};
  const std::vector two{10, 20};

  std::vector<int> squares;
  for (int value : executor->map(map_calls::square, numbers))
    squares.push_back(value);
  std::vector<int> sums;
  for (int value : executor->map(map_calls::add, numbers, two))
    sums.push_back(value);

  CHECK(squares == std::vector{9, 4, 1});
  CHECK(sums == std::vector{13, 22});
}

// EX-004
CONTRACT_TEST_CASE_DEFINE("map keeps the order where the last call ends first", F,
                          contract_map_order) {
  const Subject<F> executor(3);
  std::vector<Gate> gates(3);
  std::vector<GateKey> keys;
  for (const Gate& gate : gates)
    keys.push_back(gate.key());
  Gate ended;
  const auto call = [](GateKey gate, GateKey end, int value) {
    pass(gate);
    arrive(end);
    return value;
  };

  auto results = executor->map(call, keys, std::vector(3, ended.key()), std::vector{3, 2, 1});
  for (int last = 3; last > 0; --last) {
    gates[static_cast<std::size_t>(last - 1)].open();
    ended.wait_for_arrivals(4 - last);
  }
  std::vector<int> values;
  for (int value : results)
    values.push_back(value);

  CHECK(values == std::vector{3, 2, 1});
}

// EX-006
CONTRACT_TEST_CASE_DEFINE("an error in one call of a map comes up exactly at its place", F,
                          contract_map_error) {
  const Subject<F> executor(3);

  auto results = executor->map(map_calls::divide, std::vector{6, 6, 6, 6}, std::vector{2, 3, 0, 6});
  auto step = results.begin();

  CHECK(*step == 3);
  CHECK(*++step == 2);
  CHECK_THROWS_WITH_AS(*++step, "division by zero", std::domain_error);
  CHECK(*++step == 1);
  CHECK(++step == results.end());
}

// EX-007
CONTRACT_TEST_CASE_DEFINE("leaving a map half-way cancels the calls that have not started", F,
                          contract_map_abandoned) {
  const Subject<F> executor(1);
  Gate gate;
  Gate started;
  const auto call = [](GateKey counter, GateKey door, int n) {
    arrive(counter);
    if (n == 1) throw std::runtime_error("1");
    if (n == 2) pass(door);
    return n;
  };
  std::vector<int> numbers(10);
  std::iota(numbers.begin(), numbers.end(), 0);

  {
    auto results =
        executor->map(call, std::vector(10, started.key()), std::vector(10, gate.key()), numbers);
    auto step = results.begin();
    CHECK(*step == 0);
    CHECK_THROWS_AS(*++step, std::runtime_error);
    gate.wait_for_arrivals(1);
  }
  gate.open();
  executor->shutdown();

  CHECK(started.arrivals() == 3);
}

// EX-008
CONTRACT_TEST_CASE_DEFINE("the limit of a map counts from the call, and the late step throws", F,
                          contract_map_timeout) {
  const Subject<F> executor(1);
  Gate gate;
  const auto call = [](GateKey door, int n) {
    if (n == 2) pass(door);
    return n;
  };
  constexpr auto limit = std::chrono::milliseconds(200) * slowness;

  const auto start = siding::Clock::now();
  auto results =
      executor->map({.timeout = limit}, call, std::vector(3, gate.key()), std::vector{0, 1, 2});
  gate.wait_for_arrivals(1);
  auto step = results.begin();
  CHECK(*step == 0);
  CHECK(*++step == 1);
  std::this_thread::sleep_until(start + limit / 2);
  const auto before = siding::Clock::now();
  CHECK_THROWS_AS(*++step, siding::TimeoutError);
  const auto after = siding::Clock::now();

  CHECK(after - start >= limit);
  CHECK(after - before < limit);
}

// EX-009
CONTRACT_TEST_CASE_DEFINE("map submits everything at once, also if no result is ever read", F,
                          contract_map_eager) {
  const Subject<F> executor(2);
  Gate counter;

  const auto results =
      executor->map(map_calls::arrive_with, std::vector(10, counter.key()), std::vector(10, 0));
  executor->shutdown();

  CHECK(counter.arrivals() == 10);
}

// EX-010
CONTRACT_TEST_CASE_DEFINE("map with a buffer reads its inputs as results are taken", F,
                          contract_map_buffer) {
  const Subject<F> executor(2);
  int pulls = 0;
  const auto endless = std::views::iota(1) | std::views::transform([&pulls](int n) {
                         ++pulls;
                         return n;
                       });

  auto results = executor->map({.buffer = 2}, map_calls::square, endless);
  CHECK(pulls == 2);
  auto step = results.begin();
  CHECK(*step == 1);
  CHECK(pulls == 3);
  CHECK(*++step == 4);
  CHECK(*++step == 9);

  CHECK(pulls == 5);
}

// EX-010
CONTRACT_TEST_CASE_DEFINE("map gives the same answer for a buffer of any size", F,
                          contract_map_buffer_sizes) {
  const Subject<F> executor(2);
  std::vector<int> squares;
  for (int n = 0; n < 10; ++n)
    squares.push_back(n * n);

  for (const std::size_t size : {1U, 2U, 3U, 10U, 100U}) {
    CAPTURE(size);
    CHECK(map_calls::all_of(executor->map({.buffer = size}, map_calls::square,
                                          std::views::iota(0, 10))) == squares);
    // A range without a name is moved in.
    CHECK(map_calls::all_of(executor->map({.buffer = size, .chunk = 3}, map_calls::add,
                                          std::vector<int>(squares), std::vector<int>(10))) ==
          squares);
  }
  CHECK(map_calls::all_of(executor->map({.buffer = 2}, map_calls::square, std::vector<int>()))
            .empty());
}

CONTRACT_TEST_CASE_DEFINE(
    "with a buffer, what the executor refuses with comes after the results of the calls before", F,
    contract_map_refused) {
  const Subject<F> executor(1);

  auto results = executor->map({.buffer = 2}, map_calls::square, std::views::iota(1));
  executor->shutdown();
  auto step = results.begin();

  CHECK(*step == 1);
  CHECK(*++step == 4);
  CHECK(++step != results.end());
  CHECK_THROWS_AS(*step, siding::ShutdownError);
  CHECK(++step == results.end());
}

CONTRACT_TEST_CASE_DEFINE("with a buffer, what the inputs throw comes at its place", F,
                          contract_map_inputs_throw) {
  const Subject<F> executor(2);
  const auto inputs = std::views::iota(1) | std::views::transform([](int n) {
                        if (n == 3) throw std::out_of_range("3");
                        return n;
                      });

  auto results = executor->map({.buffer = 1, .unordered = true}, map_calls::square, inputs);
  auto step = results.begin();

  CHECK(*step == 1);
  CHECK(*++step == 4);
  CHECK_THROWS_WITH_AS(*++step, "3", std::out_of_range);
  CHECK(++step == results.end());
  CHECK_THROWS_AS(static_cast<void>(executor->map(map_calls::square, inputs)), std::out_of_range);
}

// EX-011
CONTRACT_TEST_CASE_DEFINE("map gives the same answer for chunks of any size, and refuses none", F,
                          contract_map_chunks) {
  const Subject<F> executor(2);
  const auto bases = std::views::iota(0, 40) | std::views::transform([](int n) { return n % 7; });
  const auto exponents =
      std::views::iota(0, 40) | std::views::transform([](int n) { return n % 5; });
  std::vector<int> serial;
  for (int n = 0; n < 40; ++n)
    serial.push_back(map_calls::power(n % 7, n % 5));

  for (const std::size_t size : {1U, 6U, 40U, 50U}) {
    CAPTURE(size);
    CHECK(map_calls::all_of(
              executor->map({.chunk = size}, map_calls::power, bases, exponents)) == serial);
  }
  for (const int size : {0, -1}) {
    CAPTURE(size);
    const siding::MapOptions options{.chunk = static_cast<std::size_t>(size)};
    CHECK_THROWS_AS(static_cast<void>(executor->map(options, map_calls::power, bases, exponents)),
                    std::invalid_argument);
  }
}

// EX-006, EX-011
CONTRACT_TEST_CASE_DEFINE("an error in a chunk comes up at its place, and the rest is as it was", F,
                          contract_map_chunk_error) {
  const Subject<F> executor(2);

  auto results = executor->map({.chunk = 3}, map_calls::divide, std::vector{6, 6, 6, 6},
                               std::vector{2, 0, 3, 6});
  auto step = results.begin();

  CHECK(*step == 3);
  CHECK_THROWS_WITH_AS(*++step, "division by zero", std::domain_error);
  CHECK(*++step == 2);
  CHECK(*++step == 1);
  CHECK(++step == results.end());
}

// EX-011
CONTRACT_TEST_CASE_DEFINE("a chunk takes what a call takes: text, tokens, functions without a value",
                          F, contract_map_chunk_kinds) {
  const Subject<F> executor(2);
  const std::vector<std::string_view> words{"a", "b", "c"};
  const std::vector<const char*> ends{"!", "?", "."};
  const auto with_token = [](std::stop_token token, int n) {
    return token.stop_requested() ? 0 : n;
  };
  Gate called;

  CHECK(map_calls::all_of(executor->map({.chunk = 2}, map_calls::spell, words, ends)) ==
        std::vector<std::string>{"a!", "b?", "c."});
  CHECK(map_calls::all_of(executor->map({.chunk = 2}, with_token, std::vector{1, 2, 3})) ==
        std::vector{1, 2, 3});
  auto nothing = executor->map({.chunk = 2}, arrive, std::vector(3, called.key()));
  int steps = 0;
  for (auto step = nothing.begin(); step != nothing.end(); ++step) {
    *step;
    ++steps;
  }

  CHECK(steps == 3);
  CHECK(called.arrivals() == 3);
}

// EX-030
CONTRACT_TEST_CASE_DEFINE("an unordered map gives results in the order of completion", F,
                          contract_map_unordered) {
  const Subject<F> executor(3);
  std::vector<Gate> gates(3);
  std::vector<GateKey> keys;
  for (const Gate& gate : gates)
    keys.push_back(gate.key());

  auto results = executor->map({.unordered = true}, pass_with, keys, std::vector{3, 1, 2});
  auto step = results.begin();
  std::vector<int> values;
  for (const std::size_t next : {1U, 2U, 0U}) {
    gates[next].open();
    values.push_back(*step);
    ++step;
  }

  CHECK(values == std::vector{1, 2, 3});
  CHECK(step == results.end());
}

// EX-030
CONTRACT_TEST_CASE_DEFINE("an unordered map gives each result once, with buffer and chunks too", F,
                          contract_map_unordered_all) {
  const Subject<F> executor(3);
  std::vector<int> squares;
  for (int n = 0; n < 40; ++n)
    squares.push_back(n * n);

  for (const std::size_t buffer : {0U, 1U, 3U, 100U}) {
    for (const std::size_t chunk : {1U, 7U}) {
      CAPTURE(buffer);
      CAPTURE(chunk);
      auto values = map_calls::all_of(
          executor->map({.buffer = buffer, .chunk = chunk, .unordered = true}, map_calls::square,
                        std::views::iota(0, 40)));
      std::ranges::sort(values);
      CHECK(values == squares);
    }
  }
}

// EX-008, EX-030
CONTRACT_TEST_CASE_DEFINE("a late step of an unordered map throws, and can be read again", F,
                          contract_map_unordered_late) {
  const Subject<F> executor(1);
  Gate gate;

  auto results = executor->map({.timeout = std::chrono::milliseconds(1), .unordered = true},
                               pass_with, std::vector{gate.key()}, std::vector{5});
  auto step = results.begin();
  CHECK_THROWS_AS(*step, siding::TimeoutError);
  CHECK_THROWS_AS(*step, siding::TimeoutError);
  gate.open();
  executor->shutdown();

  CHECK(*step == 5);
  CHECK_THROWS_AS(*step, siding::InvalidStateError);
  CHECK(++step == results.end());
}

CONTRACT_TEST_CASE_DEFINE("a step of a map that is not read is passed over", F,
                          contract_map_passed_over) {
  const Subject<F> executor(1);

  for (const std::size_t buffer : {0U, 1U}) {
    for (const std::size_t chunk : {1U, 2U}) {
      for (const bool unordered : {false, true}) {
        CAPTURE(buffer);
        CAPTURE(chunk);
        CAPTURE(unordered);
        auto results =
            executor->map({.buffer = buffer, .chunk = chunk, .unordered = unordered},
                          map_calls::square, std::vector{1, 2, 3});
        auto step = results.begin();
        ++step;
        CHECK(*step == 4);
        ++step;
        ++step;
        CHECK(step == results.end());
      }
    }
  }
}

CONTRACT_TEST_CASE_DEFINE("a step of a map that would block a loop throws instead", F,
                          contract_map_would_block) {
  const Subject<F> executor(1);
  Gate gate;

  siding::run([&]() -> siding::Task<> {
    for (const bool unordered : {false, true}) {
      auto results = executor->map({.unordered = unordered}, pass_with, std::vector{gate.key()},
                                   std::vector{5});
      auto step = results.begin();
      CHECK_THROWS_AS(*step, siding::WouldBlockLoop);
    }
    co_return;
  });
  gate.open();
}

}  // namespace siding_test
