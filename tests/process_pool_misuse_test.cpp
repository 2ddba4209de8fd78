// SPDX-License-Identifier: MIT
// Functions that treat their worker process badly: it costs their own call at most.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_misuse_test {
namespace {

using namespace std::chrono_literals;
using Pool = PoolSubject;

int own_pid() { return ::getpid(); }
int square(int n) { return n * n; }

int close_the_first(int count) {
  for (int descriptor = 3; descriptor < count; ++descriptor) ::close(descriptor);
  return ::getpid();
}
int close_all() {
  ::close_range(3, ~0U, 0);
  return ::getpid();
}

int leave_a_reader_behind() {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  std::FILE* file = ::fdopen(ends[0], "r");
  std::thread([file] {
    char letter = 0;
    static_cast<void>(std::fread(&letter, 1, 1, file));  // nobody writes
  }).detach();
  // Until it holds the lock of the file.
  while (::ftrylockfile(file) == 0) ::funlockfile(file);
  return ::getpid();
}

// In both processes.
int fork_and_return(int n) {
  const pid_t child = ::fork();
  if (child > 0) ::waitpid(child, nullptr, 0);
  return child > 0 ? n : -n;
}

// The value of a call, or minus one if its worker was lost.
int value_or_crash(const siding::Future<int>& call) {
  try {
    return value_of(call);
  } catch (const siding::WorkerCrashed&) {
    return -1;
  }
}

}  // namespace

TEST_SUITE("ProcessPool and its misuse") {
  TEST_CASE("a function that closes the first 256 descriptors does not hit the worker's own") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    CHECK(value_of(pool->submit(close_the_first, 256)) == pid);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("one that closes all of them costs its worker, and nobody hangs") {
    const Pool pool(1);
    for (int i = 0; i < 3; ++i) {
      const int pid = value_of(pool->submit(own_pid));
      const int closed = value_or_crash(pool->submit(close_all));
      CHECK((closed == pid || closed == -1));
      CHECK(value_of(pool->submit(square, 7)) == 49);
    }
  }

  TEST_CASE("a thread that a function leaves behind with the lock of a file holds up nobody") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(leave_a_reader_behind));
    for (int i = 0; i < 100; ++i) CHECK(value_of(pool->submit(square, i)) == i * i);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("of a function that forks and returns twice, the worker's own value counts") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    for (int i = 1; i < 5; ++i) CHECK(value_of(pool->submit(fork_and_return, i)) == i);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("a pool whose workers spin for ever ends at once") {
    const Pool pool(siding::ProcessPoolOptions{.max_workers = 1, .spin = 24h});
    CHECK(value_of(pool->submit(square, 3)) == 9);
  }
}

}  // namespace siding_test::process_pool_misuse_test
