// SPDX-License-Identifier: MIT
// What workers may use: memory, CPUs, files, the processes that they start, and system calls.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_confine_test {
namespace {

using namespace std::chrono_literals;
using Pool = PoolSubject;

int own_pid() { return ::getpid(); }

std::size_t take_bytes(std::size_t size) {
  std::vector<char> memory(size, 'x');
  asm volatile("" : : "g"(memory.data()) : "memory");  // or clang does without it
  return memory.size();
}

std::vector<int> own_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

/// Starts a child that would outlive it, and waits for ever.
int start_a_child(GateKey started, GateKey key) {
  const pid_t child = ::fork();
  if (child == 0) {
    arrive(started);
    for (;;) ::pause();
  }
  pass(key);
  return child;
}

int open_null() {
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  ::close(descriptor);
  return 0;
}
int make_socket() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  ::close(descriptor);
  return 0;
}
int square(int n) { return n * n; }

/// Reads every eventfd that this process has, as a worker might that wants to hold others up.
int steal_words() {
  int stolen = 0;
  for (int file = 3; file < 4096; ++file) {
    ::fcntl(file, F_SETFL, O_NONBLOCK);
    eventfd_t word = 0;
    stolen += ::read(file, &word, sizeof word) == static_cast<ssize_t>(sizeof word) ? 1 : 0;
  }
  return stolen;
}

std::string why_not(siding::ProcessPoolOptions options) {
  const Pool pool(std::move(options));
  try {
    value_of(pool->submit(own_pid));
  } catch (const siding::BrokenExecutor& error) {
    return error.what();
  }
  return "it works";
}

TEST_SUITE("ProcessPool: what workers may use") {
  TEST_CASE("beyond its memory an allocation throws in the worker, which lives" *
            doctest::skip(SIDING_SANITIZED)) {  // they take terabytes of addresses
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.max_memory = 256U << 20U;
    const Pool pool(options);
    const int pid = value_of(pool->submit(own_pid));
    CHECK_THROWS_AS(value_of(pool->submit(take_bytes, std::size_t{1} << 30U)), std::bad_alloc);
    CHECK(value_of(pool->submit(take_bytes, std::size_t{64} << 20U)) == 64U << 20U);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("other limits of the system hold in workers and not in the program") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.resource_limits = {{RLIMIT_NOFILE, 200}, {RLIMIT_CORE, 0}};
    if (!SIDING_SANITIZED) options.resource_limits.push_back({RLIMIT_AS, 1U << 30U});
    const Pool pool(options);
    const auto files = [] {
      rlimit limit{};
      ::getrlimit(RLIMIT_NOFILE, &limit);
      return static_cast<unsigned long>(limit.rlim_max);
    };
    CHECK(value_of(pool->submit(files)) == 200);
    CHECK(files() != 200);
    // Of its own addresses, beside those that it shares with the program.
    if (!SIDING_SANITIZED) {
      CHECK_THROWS_AS(value_of(pool->submit(take_bytes, std::size_t{2} << 30U)), std::bad_alloc);
      CHECK(value_of(pool->submit(take_bytes, std::size_t{64} << 20U)) == 64U << 20U);
    }
  }

  TEST_CASE("workers run on the CPUs that they are given") {
    const std::vector<int> all = own_cpus();
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.cpus = {all.back()};
    const Pool pool(options);
    CHECK(value_of(pool->submit(own_cpus)) == options.cpus);
    CHECK(own_cpus() == all);
  }

  TEST_CASE("niceness, working directory and environment are the workers' own") {
    ::setenv("SIDING_TEST_TAKEN", "away", 1);
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.nice = 3;
    options.working_directory = "/tmp";
    options.environment = {{"SIDING_TEST_GIVEN", "a value"}, {"SIDING_TEST_TAKEN", std::nullopt}};
    const Pool pool(options);
    const int before = ::getpriority(PRIO_PROCESS, 0);
    CHECK(value_of(pool->submit([] { return ::getpriority(PRIO_PROCESS, 0); })) == before + 3);
    CHECK(value_of(pool->submit([] { return std::filesystem::current_path(); })) ==
          std::filesystem::canonical("/tmp"));
    CHECK(value_of(pool->submit(variable, std::string("SIDING_TEST_GIVEN"))) == "a value");
    CHECK(value_of(pool->submit(variable, std::string("SIDING_TEST_TAKEN"))) == std::nullopt);
    CHECK(variable("SIDING_TEST_TAKEN") == "away");
    CHECK(::getpriority(PRIO_PROCESS, 0) == before);
    ::unsetenv("SIDING_TEST_TAKEN");
  }

  TEST_CASE("a relative working directory is that of the program when the pool was made") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.working_directory = ".";
    const std::filesystem::path here = std::filesystem::current_path();
    const Pool pool(options);
    std::filesystem::current_path("/");
    CHECK(value_of(pool->submit([] { return std::filesystem::current_path(); })) == here);
    std::filesystem::current_path(here);
  }

  // PP-022
  TEST_CASE("workers have the descriptors that they are passed, under their numbers, and no other") {
    std::array<int, 2> first{};
    std::array<int, 2> second{};
    REQUIRE(::pipe2(first.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(second.data(), O_CLOEXEC) == 0);
    REQUIRE(::write(first[1], "ab", 2) == 2);
    for (const siding::StartMethod method : {siding::StartMethod::clean, siding::StartMethod::snapshot,
                                             siding::StartMethod::isolated}) {
      siding::ProcessPoolOptions options{.max_workers = 1};
      options.start = method;
      options.pass_descriptors = {second[1], first[0]};
      const Pool pool = Pool::exactly(options);
      const auto is_open = [](int file, unsigned long inode) { return Gate::inode(file) == inode; };
      for (const int passed : options.pass_descriptors) {
        CHECK(value_of(pool->submit(is_open, passed, Gate::inode(passed))));
      }
      for (const int own : {first[1], second[0]}) {
        CHECK_FALSE(value_of(pool->submit(is_open, own, Gate::inode(own))));
      }
      CHECK(value_of(pool->submit(own_pid)) > 0);
    }
    for (const int file : {first[0], first[1], second[0], second[1]}) ::close(file);
  }

  // PP-009
  TEST_CASE("workers that cannot be set up break the pool, which says why") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.working_directory = "/no/such/directory";
    const std::string text = why_not(options);
    CAPTURE(text);
    CHECK(text.find("could not be set up") != std::string::npos);
    CHECK(text.find("changing to its working directory /no/such/directory") != std::string::npos);
    CHECK(text.find("No such file or directory") != std::string::npos);
  }

  // PP-015
  TEST_CASE("a worker that is ended takes along what it has started") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.kill_children = true;
    const Pool pool(options);
    Gate started;
    Gate never;
    // A pipe that the child keeps open: its end is the child's.
    const auto call = pool->submit({.run_limit = 50ms * slowness}, start_a_child, started.key(),
                                   never.key());
    started.wait_for_arrivals(1);
    never.wait_for_arrivals(1);
    const int worker = value_of(pool->submit({.queue_limit = hang_limit}, own_pid));
    CHECK_THROWS_AS(value_of(call), siding::TimeoutError);
    CHECK(worker > 0);
    CHECK(becomes_true([] { return count_children() <= 1; }));
  }

  // PP-015
  TEST_CASE("so does one that retires, and one that crashes") {
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.kill_children = true;
    Gate open;
    open.open();
    for (const bool crashes : {false, true}) {
      Pool pool(options);
      Gate started;
      const int child = value_of(pool->submit(start_a_child, started.key(), open.key()));
      started.wait_for_arrivals(1);
      CHECK(::kill(child, 0) == 0);
      if (crashes) {
        CHECK_THROWS_AS(value_of(pool->submit([] { ::_exit(3); })), siding::WorkerCrashed);
      } else {
        pool.reset();
      }
      CHECK(becomes_true([child] { return ::kill(child, 0) != 0; }));
    }
  }

  TEST_CASE("a sandbox leaves workers what they need to compute, and nothing else" *
            doctest::skip(SIDING_SANITIZED)) {
    siding::ProcessPoolOptions options{.max_workers = 2};
    options.sandbox = siding::Sandbox{};
    const Pool pool(options);
    CHECK(value_of(pool->submit(square, 3)) == 9);
    CHECK(value_of(pool->submit(open_null)) == EPERM);
    CHECK(value_of(pool->submit(make_socket)) == EPERM);
    CHECK(value_of(pool->submit(take_bytes, std::size_t{10} << 20U)) == 10U << 20U);
    CHECK_THROWS_AS(value_of(pool->submit([]() -> int { throw std::out_of_range("x"); })),
                    std::out_of_range);
    const auto killed = pool->submit({.run_limit = 50ms}, []() -> int {
      for (;;) ::getppid();
    });
    CHECK_THROWS_AS(value_of(killed), siding::TimeoutError);
    CHECK_THROWS_WITH_AS(value_of(pool->submit([]() -> int { std::abort(); })),
                         doctest::Contains("SIGABRT"), siding::WorkerCrashed);
    CHECK(value_of(pool->submit(square, 4)) == 16);
  }

  TEST_CASE("a worker in a sandbox cannot keep the results of others from a loop" *
            doctest::skip(SIDING_SANITIZED)) {
    siding::ProcessPoolOptions options{.max_workers = 2};
    options.sandbox = siding::Sandbox{};
    options.spin = 0ns;
    const Pool pool(options);
    siding::run([](siding::ProcessPool& processes) -> siding::Task<> {
      siding::Future<int> thief = siding::run_in_executor(processes, [] {
        int stolen = 0;
        for (int i = 0; i < 200; ++i) stolen += steal_words();
        return stolen;
      });
      for (int n = 0; n < 100; ++n) CHECK(co_await siding::offload(processes, square, n) == n * n);
      co_await thief;
    }(*pool));
  }

  TEST_CASE("options without a meaning are refused with a sentence") {
    const auto refused = [](auto set, const char* part) {
      siding::ProcessPoolOptions options;
      set(options);
      CHECK_THROWS_WITH_AS(siding::ProcessPool{options}, doctest::Contains(part),
                           std::invalid_argument);
    };
    using Options = siding::ProcessPoolOptions;
    refused([](Options& o) { o.max_workers = 0; }, "max_workers must be at least 1");
    refused([](Options& o) { o.max_workers = 5000; }, "max_workers must be at most 4096");
    refused([](Options& o) { o.max_workers = 1, o.min_workers = 2; }, "min_workers must be at most");
    refused([](Options& o) { o.poison_limit = 0; }, "poison_limit must be at least 1");
    refused([](Options& o) { o.start = siding::StartMethod::isolated, o.init = [] {}; },
            "init does not go with StartMethod::isolated");
    refused([](Options& o) { o.on_output = [](const siding::OutputLine&) {}; }, "Output::relay");
    refused([](Options& o) { o.cpus = {-1}; }, "numbers of CPUs");
    refused([](Options& o) { o.pass_descriptors = {2}; }, "from 3 to 1023");
    refused([](Options& o) { o.pass_descriptors = {1000}; }, "open descriptors");
    refused([](Options& o) { o.pass_descriptors.assign(9, 3); }, "at most 8");
    refused([](Options& o) { o.environment = {{"A=B", "c"}}; }, "names without '='");
  }
}

}  // namespace
}  // namespace siding_test::process_pool_confine_test
