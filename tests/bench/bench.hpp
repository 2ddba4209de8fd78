// SPDX-License-Identifier: MIT
// What the benchmark programs share: the trivial call, the clocks, percentiles and the line of
// JSON. Every program of a workload uses the same of each, so that like is compared with like.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

// The field's figures (goals of the project) were measured with these sizes.
inline constexpr std::int64_t worker_count = 2;
inline constexpr std::int64_t w1_calls = 50'000;
inline constexpr std::int64_t w1_warm_up_calls = 2'000;
inline constexpr std::int64_t w2_coroutines = 1'000;
inline constexpr std::int64_t w2_calls_each = 500;
inline constexpr std::int64_t w2_warm_up_calls_each = 10;
inline constexpr std::int64_t w3_calls = 50'000;
inline constexpr std::int64_t w3_warm_up_calls = 2'000;
inline constexpr std::int64_t w4_in_flight = 64;
inline constexpr std::int64_t w4_calls_each = 8'000;
inline constexpr std::int64_t w4_warm_up_calls_each = 200;
inline constexpr std::int64_t w5_in_flight = 4;
inline constexpr std::int64_t w5_calls_each = 250;
inline constexpr std::int64_t w5_warm_up_calls_each = 10;
inline constexpr std::int64_t w5_bytes = 1 << 20;
inline constexpr std::int64_t w6_calls = 10'000'000;
inline constexpr std::int64_t w6_calls_per_sample = 10'000;
inline constexpr std::int64_t w6_tasks = 1'000'000;
inline constexpr std::int64_t w6_cancelled_tasks = 100'000;
inline constexpr std::int64_t w6_batch = 1'000;

// Chosen: the first covers every bounded spinner (tens of microseconds) with room to spare, the
// second is long enough that one timer wake-up (about 20 us) is less than 0.01 % of it.
inline constexpr std::chrono::milliseconds idle_settle{20};
inline constexpr std::chrono::milliseconds idle_length{300};

// The call that is offloaded. The empty assembly hides the value from the optimiser, so the call
// can be neither folded nor left out.
[[gnu::noinline]] inline std::int64_t trivial_call(std::int64_t value) noexcept {
  asm volatile("" : "+r"(value));
  return 2 * value + 1;
}

// The sum of trivial_call(0) ... trivial_call(count - 1).
constexpr std::int64_t expected_sum(std::int64_t count) noexcept { return count * count; }

// Ends the program with status 1 if a result is wrong: a fast wrong answer is not a measurement.
inline void check_equal(std::int64_t actual, std::int64_t expected, const char* what) {
  if (actual == expected) return;
  std::fprintf(stderr, "wrong %s: %lld instead of %lld\n", what, static_cast<long long>(actual),
               static_cast<long long>(expected));
  std::exit(1);
}

inline double seconds(Clock::duration length) {
  return std::chrono::duration<double>(length).count();
}

struct Spent {
  double wall_s;
  double cpu_s;   // user and system time of all threads
  double sleeps;  // voluntary context switches of all threads
};

// Measures from its construction on.
class Meter {
 public:
  Meter() : usage_(usage()), wall_(Clock::now()) {}

  Spent spent() const {
    const auto wall = Clock::now();
    const auto now = usage();
    return {.wall_s = seconds(wall - wall_),
            .cpu_s = cpu_seconds(now) - cpu_seconds(usage_),
            .sleeps = static_cast<double>(now.ru_nvcsw - usage_.ru_nvcsw)};
  }

 private:
  static rusage usage() {
    rusage result{};
    getrusage(RUSAGE_SELF, &result);
    return result;
  }
  static double cpu_seconds(const rusage& used) {
    return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  }

  rusage usage_;
  Clock::time_point wall_;
};

// The lengths of consecutive laps. One clock reading (about 25 ns) per lap: the end of one lap is
// the start of the next.
class Laps {
 public:
  explicit Laps(std::int64_t expected) { nanoseconds_.reserve(static_cast<std::size_t>(expected)); }

  void start() {
    nanoseconds_.clear();
    last_ = Clock::now();
  }

  void lap() {
    const auto now = Clock::now();
    nanoseconds_.push_back(std::chrono::duration<double, std::nano>(now - last_).count());
    last_ = now;
  }

  // Nearest rank; fraction is in (0, 1].
  double percentile_ns(double fraction) const {
    if (nanoseconds_.empty()) return 0;
    auto sorted = nanoseconds_;
    const auto rank = static_cast<std::size_t>(fraction * static_cast<double>(sorted.size()));
    const auto index = std::min(rank, sorted.size() - 1);
    const auto position = sorted.begin() + static_cast<std::ptrdiff_t>(index);
    std::nth_element(sorted.begin(), position, sorted.end());
    return *position;
  }

 private:
  std::vector<double> nanoseconds_;
  Clock::time_point last_{};
};

struct Field {
  const char* name;
  double value;
};

// One JSON object on one line. The headline `metric` is repeated under its own name, so that a
// reader can take either. The texts are plain words: nothing in them needs escaping.
inline void print_result(const char* workload, const char* peer, const char* metric, double value,
                         std::initializer_list<Field> fields, const char* version = "") {
  std::printf(R"({"workload":"%s","peer":"%s","metric":"%s","value":%.6g,"%s":%.6g)", workload,
              peer, metric, value, metric, value);
  for (const auto& field : fields)
    std::printf(R"(,"%s":%.6g)", field.name, field.value);
  std::printf(R"(,"version":"%s"})"
              "\n",
              version);
  std::fflush(stdout);
}

// W1 and W3: `busy` covers `count` sequential calls, `idle` a pause in which loop and pool have no
// work. The time of child processes is not in it.
inline void print_latency(const char* peer, const Laps& laps, const Spent& busy, const Spent& idle,
                          const char* version = "", const char* workload = "W1",
                          std::int64_t count = w1_calls) {
  const auto calls = static_cast<double>(count);
  print_result(workload, peer, "mean_us", 1e6 * busy.wall_s / calls,
               {{"p50_us", laps.percentile_ns(0.50) / 1e3},
                {"p99_us", laps.percentile_ns(0.99) / 1e3},
                {"max_us", laps.percentile_ns(1.0) / 1e3},
                {"calls_per_s", calls / busy.wall_s},
                {"cpu_us_per_call", 1e6 * busy.cpu_s / calls},
                {"sleeps_per_call", busy.sleeps / calls},
                {"idle_cpu_us_per_s", 1e6 * idle.cpu_s / idle.wall_s},
                {"calls", calls},
                {"workers", static_cast<double>(worker_count)}},
               version);
}

// W2: `busy` covers w2_coroutines * w2_calls_each calls.
inline void print_throughput(const char* peer, const Spent& busy, const char* version = "",
                             std::int64_t workers = worker_count) {
  const auto calls = static_cast<double>(w2_coroutines * w2_calls_each);
  print_result("W2", peer, "calls_per_s", calls / busy.wall_s,
               {{"mean_ns", 1e9 * busy.wall_s / calls},
                {"cpu_us_per_call", 1e6 * busy.cpu_s / calls},
                {"sleeps_per_call", busy.sleeps / calls},
                {"calls", calls},
                {"coroutines", static_cast<double>(w2_coroutines)},
                {"workers", static_cast<double>(workers)}},
               version);
}

// W4: `busy` covers w4_in_flight * w4_calls_each calls.
inline void print_process_throughput(const char* peer, const Spent& busy, std::int64_t count,
                                     const char* version = "") {
  const auto calls = static_cast<double>(count);
  print_result("W4", peer, "calls_per_s", calls / busy.wall_s,
               {{"mean_ns", 1e9 * busy.wall_s / calls},
                {"cpu_us_per_call", 1e6 * busy.cpu_s / calls},
                {"sleeps_per_call", busy.sleeps / calls},
                {"calls", calls},
                {"in_flight", static_cast<double>(w4_in_flight)},
                {"workers", static_cast<double>(worker_count)}},
               version);
}

// W5: `busy` covers `count` calls that each take w5_bytes there and back.
inline void print_payload(const char* peer, const Spent& busy, std::int64_t count,
                          const char* version = "") {
  const auto calls = static_cast<double>(count);
  print_result("W5", peer, "gb_per_s",
               1e-9 * calls * static_cast<double>(w5_bytes) / busy.wall_s,
               {{"mean_us", 1e6 * busy.wall_s / calls},
                {"cpu_us_per_call", 1e6 * busy.cpu_s / calls},
                {"calls", calls},
                {"in_flight", static_cast<double>(w5_in_flight)},
                {"workers", static_cast<double>(worker_count)}},
               version);
}

// W6: `metric` is call_ns, spawn_ns or cancel_ns; each lap of `laps` covers `per_lap` of the `count`
// units.
inline void print_unit_cost(const char* peer, const char* metric, const Laps& laps,
                            const Spent& busy, std::int64_t count, std::int64_t per_lap,
                            const char* version = "") {
  const auto units = static_cast<double>(count);
  const auto each = static_cast<double>(per_lap);
  print_result("W6", peer, metric, 1e9 * busy.wall_s / units,
               {{"p50_ns", laps.percentile_ns(0.50) / each},
                {"p99_ns", laps.percentile_ns(0.99) / each},
                {"per_s", units / busy.wall_s},
                {"cpu_ns", 1e9 * busy.cpu_s / units},
                {"count", units}},
               version);
}

// The first argument, or `otherwise` if there is none.
inline std::string_view form(int argc, char** argv, std::string_view otherwise) {
  return argc > 1 ? std::string_view(argv[1]) : otherwise;
}

// Ends the program with status 2: it was started with a form that it does not have.
[[noreturn]] inline void unknown_form(const char* forms) {
  std::fprintf(stderr, "unknown form; one of: %s\n", forms);
  std::exit(2);
}

}  // namespace bench
