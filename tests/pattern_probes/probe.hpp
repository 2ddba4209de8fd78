// SPDX-License-Identifier: MIT
#pragma once

#include <siding/task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string>

// A probe is one shape of coroutine code that some compiler gets wrong. It runs in a child process,
// since wrong code crashes, and says whether its value came out right; that each `Thing` was
// destroyed exactly once is checked for it.

namespace siding_probe {

#if defined(__GNUC__) && !defined(__clang__) && \
    (__GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3))
inline constexpr bool old_gcc = true;
#else
inline constexpr bool old_gcc = false;
#endif

/// What a probe is expected to be, with this compiler.
enum class Expected { right, wrong };
inline constexpr Expected right = Expected::right;
inline constexpr Expected wrong_on_old_gcc = old_gcc ? Expected::wrong : Expected::right;

/// What a probe has found. Not a bool: where a body is skipped, its result is whatever lies there.
enum class Verdict : int { good = 0x51d1, bad = 0x0bad };
constexpr Verdict right_if(bool condition) { return condition ? Verdict::good : Verdict::bad; }

/// A value with a destructor that matters. It is no aggregate.
class Thing {
 public:
  Thing(int value = 0) : value_(value) { ++made; }
  Thing(const Thing& other) : value_(other.value_) { ++made; }
  Thing(Thing&& other) noexcept : value_(other.value_) { ++made; }
  Thing& operator=(const Thing&) = default;
  Thing& operator=(Thing&&) noexcept = default;
  ~Thing() { ++destroyed; }

  int value() const { return value_; }
  bool ok() const { return value_ != 0; }

  static inline std::atomic<int> made{0};
  static inline std::atomic<int> destroyed{0};

 private:
  int value_;
};

/// Runs `probe` in a child process and checks that it comes out as expected. One that is right
/// where it is expected to be wrong is reported and does not fail: the compiler was mended.
/// Returns: what the child wrote.
std::string check_probe(siding::Task<Verdict> (*probe)(), Expected expected);

/// Tasks to await: one that ends at once, and two that suspend before.
siding::Task<int> at_once(int value);
siding::Task<int> later(int value);
siding::Task<Thing> thing_later(int value);

}  // namespace siding_probe

#define SIDING_PROBE_PASTE(a, b) a##b
#define SIDING_PROBE_NAME(a, b) SIDING_PROBE_PASTE(a, b)

/// SIDING_PROBE("shape", expected) { ... co_return right_if(...); }
#define SIDING_PROBE(shape, expected) SIDING_PROBE_AT(shape, expected, __COUNTER__)
#define SIDING_PROBE_AT(shape, expected, number)                                                \
  static siding::Task<siding_probe::Verdict> SIDING_PROBE_NAME(probe_, number)();               \
  TEST_CASE(shape) { siding_probe::check_probe(&SIDING_PROBE_NAME(probe_, number), expected); } \
  static siding::Task<siding_probe::Verdict> SIDING_PROBE_NAME(probe_, number)()
