// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <random>
#include <string>

namespace siding_test {

/// The seed of a random test: the number in SIDING_TEST_SEED, else another one each time. The test
/// names it in an INFO, so that a failure can be repeated.
inline unsigned random_seed() {
  // Read before the test starts its threads. NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* given = std::getenv("SIDING_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
}

/// How many rounds a random test makes: the number in SIDING_TEST_ROUNDS, for longer runs by hand, else
/// `usual`.
inline unsigned long random_rounds(unsigned long usual) {
  // As above. NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* given = std::getenv("SIDING_TEST_ROUNDS");
  return given != nullptr ? std::stoul(given) : usual;
}

}  // namespace siding_test
