// SPDX-License-Identifier: MIT
// A value of more than 2 GiB, there and back. It takes five times its size in memory, so it is left out
// where that is not to be had, and under sanitizers.
#include <siding/siding.hpp>

#include <siding/detail/sanitizers.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_huge_test {
namespace {

constexpr std::size_t size = std::size_t{2200} << 20;
static_assert(size > std::numeric_limits<int>::max());
constexpr std::size_t needed = size / 1024 * 6;  // in KiB, with some to spare

std::size_t available_kibibytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::size_t kibibytes = 0;
  while (file >> word) {
    if (word == "MemAvailable:") file >> kibibytes;
  }
  return kibibytes;
}

// A piece of which each is another one.
std::string piece(std::size_t number) {
  std::string text(std::size_t{1} << 20, static_cast<char>('a' + number % 26));
  text.replace(0, 8, std::to_string(10'000'000 + number));
  return text;
}
std::string make_text() {
  std::string text;
  text.reserve(size);
  for (std::size_t number = 0; text.size() < size; ++number) text += piece(number);
  return text;
}
bool is_text(const std::string& text) {
  if (text.size() != size) return false;
  for (std::size_t begin = 0, number = 0; begin < size; ++number) {
    const std::string expected = piece(number);
    if (std::memcmp(text.data() + begin, expected.data(), expected.size()) != 0) return false;
    begin += expected.size();
  }
  return true;
}

std::string echo(std::string text) { return text; }

TEST_SUITE("ProcessPool and huge values") {
  // PP-024
  TEST_CASE("2.2 GiB come back as they were sent" *
            doctest::skip(SIDING_SANITIZED || available_kibibytes() < needed) *
            doctest::description("skipped under sanitizers, and where less than 13 GiB are free")) {
    const PoolSubject pool(1);
    const auto start = std::chrono::steady_clock::now();

    siding::Future<std::string> call = pool->submit(echo, make_text());
    const std::string result = std::move(call).get(hang_limit);

    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    CHECK(is_text(result));
    // Nearly all of it is the system's: it makes, and clears, five times as much memory.
    MESSAGE(took.count() << " s");
  }
}

}  // namespace
}  // namespace siding_test::process_pool_huge_test
