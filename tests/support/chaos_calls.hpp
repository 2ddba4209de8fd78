// SPDX-License-Identifier: MIT
#pragma once

#include <siding/call_options.hpp>
#include <siding/detail/sanitizers.hpp>
#include <siding/shared_buffer.hpp>

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <numeric>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "shared_counts.hpp"

// The calls of the chaos test: what each of them does in its worker is settled before it is made.

namespace siding_test {

enum class Fate {
  fine,       // returns its place
  large,      // returns its large argument backwards
  buffer,     // adds up a shared buffer, and writes to it
  prints,     // a line
  in_time,    // has a queue_limit that may pass: then it must not begin
  throws,
  segfault,
  abort,
  exit,
  terminate,  // lets std::bad_alloc out of a noexcept function
  mortal,     // dies at its first `deaths` attempts, and may be made again
  spin,       // for ever, past its run_limit
  near,       // lasts about as long as its run_limit
  asked,      // returns when it is asked to stop, past its run_limit
  deaf,       // takes a stop_token and does not look at it
  held,       // for ever, until it is cancelled
  no_memory,  // allocates more than its worker may
};

/// One call.
struct Plan {
  Fate fate = Fate::fine;
  std::size_t place = 0;
  unsigned deaths = 0;
  unsigned retries = 0;
  std::chrono::microseconds lasts{};
  std::chrono::microseconds run_limit{};    // 0: none
  std::chrono::microseconds queue_limit{};  // 0: none
  std::chrono::microseconds cancel_in{};    // 0: never
  int priority = 0;
};

inline siding::CallOptions options_of(const Plan& plan) {
  siding::CallOptions options{.name = "chaos", .priority = plan.priority, .retries = plan.retries};
  if (plan.run_limit.count() != 0) options.run_limit = plan.run_limit;
  if (plan.queue_limit.count() != 0) options.queue_limit = plan.queue_limit;
  return options;
}

// What calls write down in shared counts, since it must survive them: in front the workers that have begun
// a call lately, then for each call how often it was begun, and by whom.
constexpr std::size_t recent_workers = 8;
constexpr unsigned default_poison_limit = 3;
constexpr std::size_t most_attempts = default_poison_limit;

constexpr std::size_t begun_at(std::size_t place) {
  return recent_workers + place * (1 + most_attempts);
}

/// The number of the attempt.
inline unsigned begin_call(CountsKey key, const Plan& plan) {
  const MappedCounts counts(key);
  const int pid = ::getpid();
  const auto attempt = static_cast<std::size_t>(counts[begun_at(plan.place)].fetch_add(1)) + 1;
  if (attempt <= most_attempts) counts[begun_at(plan.place) + attempt] = pid;
  counts[static_cast<std::size_t>(pid) % recent_workers] = pid;
  return static_cast<unsigned>(attempt);
}

inline std::string value_of_fine(std::size_t place) { return "value " + std::to_string(place); }
inline std::string line_of(std::size_t place) { return "chaos " + std::to_string(place) + "."; }
inline std::string error_of(std::size_t place) { return "thrown by " + std::to_string(place); }

inline std::string payload_of(const Plan& plan) {
  if (plan.fate != Fate::large) return {};
  return line_of(plan.place) + std::string(100'000, static_cast<char>('a' + plan.place % 26));
}
inline std::string reversed_payload(const Plan& plan) {
  const std::string payload = payload_of(plan);
  return {payload.rbegin(), payload.rend()};
}

constexpr std::size_t buffer_numbers = 4096;
inline siding::SharedBuffer buffer_of(const Plan& plan) {
  return siding::SharedBuffer::of(
      std::vector<std::uint32_t>(buffer_numbers, static_cast<std::uint32_t>(plan.place)));
}
inline std::string sum_of_buffer(const Plan& plan) {
  return std::to_string(buffer_numbers * plan.place);
}

/// A sanitizer answers these signals by an exit, and not at all quickly.
inline void die_by(int signal_number) {
  if (SIDING_SANITIZED) ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

inline void crash_at_null() {
  if (SIDING_SANITIZED) die_by(SIGSEGV);
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
}

inline void allocate(std::size_t size) {
  volatile char* const memory = static_cast<char*>(::operator new(size));
  memory[0] = 1;
  ::operator delete(const_cast<char*>(memory));
}

inline void allocate_or_die(std::size_t size) noexcept { allocate(size); }

inline void spin_for(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

inline std::string act(CountsKey key, Plan plan, std::string payload) {
  const unsigned attempt = begin_call(key, plan);
  switch (plan.fate) {
    case Fate::large:
      return {payload.rbegin(), payload.rend()};
    case Fate::prints: {
      const std::string line = line_of(plan.place) + "\n";
      if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) return "not written";
      break;
    }
    case Fate::throws:
      throw std::runtime_error(error_of(plan.place));
    case Fate::segfault:
      crash_at_null();
      break;
    case Fate::abort:
      die_by(SIGABRT);
      break;
    case Fate::exit:
      ::_exit(99);
    case Fate::terminate:
      allocate_or_die(~std::size_t{0} / 4);
      break;
    case Fate::mortal:
      if (attempt <= plan.deaths) die_by(SIGKILL);
      break;
    case Fate::spin:
    case Fate::held:
      for (;;) ::getppid();
    case Fate::near:
      spin_for(plan.lasts);
      break;
    case Fate::no_memory:
      allocate(std::size_t{1} << 40);
      break;
    default:
      spin_for(plan.lasts);
      break;
  }
  return value_of_fine(plan.place);
}

inline std::string act_asked(std::stop_token token, CountsKey key, Plan plan) {
  begin_call(key, plan);
  if (plan.fate == Fate::deaf) {
    for (;;) ::getppid();
  }
  while (!token.stop_requested()) std::this_thread::yield();
  return value_of_fine(plan.place);
}

inline std::string act_on_buffer(CountsKey key, Plan plan, siding::SharedBuffer buffer) {
  begin_call(key, plan);
  const auto numbers = buffer.as<std::uint32_t>();
  const auto sum = std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
  numbers[0] = static_cast<std::uint32_t>(plan.place + 1);
  return std::to_string(sum);
}

}  // namespace siding_test
