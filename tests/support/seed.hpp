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

}  // namespace siding_test
