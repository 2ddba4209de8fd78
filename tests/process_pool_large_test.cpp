// SPDX-License-Identifier: MIT
// Process pools and large arguments and results: they lie in memory that is shared with one worker,
// and go back to the system with their call.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/log_capture.hpp"
#include "support/process_pool_subject.hpp"
#include "support/thread_state.hpp"

namespace siding_test::process_pool_large_test {
namespace {

using siding::Future;
using siding::Task;

using Pool = PoolSubject;

constexpr std::size_t mebibyte = std::size_t{1} << 20;

std::string echo(std::string text) { return text; }
std::size_t length(const std::string& text) { return text.size(); }
int own_pid() { return ::getpid(); }

std::string text_of(std::size_t size, char letter) {
  std::string text(size, letter);
  for (std::size_t i = 0; i < size; i += 4096) text[i] = static_cast<char>('a' + i / 4096 % 26);
  return text;
}

// The pages of shared memory that this process has, in bytes.
std::size_t shared_memory() {
  std::ifstream file("/proc/self/status");
  std::string word;
  std::size_t kibibytes = 0;
  while (file >> word) {
    if (word == "RssShmem:") file >> kibibytes;
  }
  return kibibytes * 1024;
}

// A limit of this process, lowered for a while.
class LowerLimit {
 public:
  LowerLimit(decltype(RLIMIT_FSIZE) resource, rlim_t value) : resource_(resource) {
    REQUIRE(::getrlimit(resource_, &old_) == 0);
    const rlimit lower{value, old_.rlim_max};
    REQUIRE(::setrlimit(resource_, &lower) == 0);
  }
  ~LowerLimit() { ::setrlimit(resource_, &old_); }
  LowerLimit(const LowerLimit&) = delete;
  LowerLimit& operator=(const LowerLimit&) = delete;

 private:
  decltype(RLIMIT_FSIZE) resource_;
  rlimit old_{};
};

/// A text of which the second writing fails: the first one measures.
struct FailsLate {
  std::string text;
};

}  // namespace
}  // namespace siding_test::process_pool_large_test

template <>
struct siding::Wire<siding_test::process_pool_large_test::FailsLate> {
  using FailsLate = siding_test::process_pool_large_test::FailsLate;
  static void write(WireWriter& out, const FailsLate& value) {
    static int writings = 0;
    if (++writings % 2 == 0) throw std::runtime_error("late");
    out.value(value.text);
  }
  static FailsLate read(WireReader& in) { return {in.value<std::string>()}; }
};

namespace siding_test::process_pool_large_test {
namespace {

FailsLate make_fails_late(std::size_t size) { return {std::string(size, 'x')}; }

std::string use_every_descriptor_and_echo(std::string text) {
  while (::open("/dev/null", O_RDONLY) >= 0) {
  }
  return text;
}

}  // namespace

TEST_SUITE("ProcessPool and large calls") {
  // PP-023
  TEST_CASE("64 MiB cross both ways at once, several times over") {
    const Pool pool(2);
    const std::string text = text_of(64 * mebibyte, 'x');
    std::vector<Future<std::string>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(pool->submit(echo, text));
    for (Future<std::string>& call : calls) CHECK((std::move(call).get(hang_limit) == text));
  }

  TEST_CASE("the memory of large calls goes back to the system when they have ended") {
    const Pool pool(1);
    const std::string text = text_of(64 * mebibyte, 'x');
    const std::size_t before = shared_memory();

    CHECK((value_of(pool->submit(echo, text)) == text));

    // Each direction keeps a little.
    CHECK(becomes_true([&] { return shared_memory() <= before + 16 * mebibyte; }));
  }

  TEST_CASE("large calls that are cancelled before they begin leave nothing, and block nobody") {
    const Pool pool(1);
    const std::string text = text_of(5 * mebibyte, 'x');
    const std::size_t before = shared_memory();
    for (int round = 0; round < 4; ++round) {
      Gate gate;
      const auto blocker = pool->submit(pass, gate.key());
      gate.wait_for_arrivals(1);
      int cancelled = 0;
      for (int i = 0; i < 100; ++i) cancelled += pool->submit(length, text).cancel() ? 1 : 0;
      CHECK(cancelled == 100);
      gate.open();
      CHECK_NOTHROW(blocker.get(hang_limit));
    }
    CHECK(value_of(pool->submit(length, text)) == text.size());
    CHECK(becomes_true([&] { return shared_memory() <= before + 16 * mebibyte; }));
  }

  // PP-005
  TEST_CASE("large calls that were sent to a worker which dies move to another") {
    const Pool pool(1);
    const std::string text = text_of(3 * mebibyte, 'x');
    for (int round = 0; round < 10; ++round) {
      const int pid = value_of(pool->submit(own_pid));
      std::vector<Future<std::size_t>> calls;
      for (int i = 0; i < 10; ++i) calls.push_back(pool->submit(length, text));
      ::kill(pid, SIGKILL);
      int crashed = 0;
      for (const Future<std::size_t>& call : calls) {
        try {
          CHECK(value_of(call) == text.size());
        } catch (const siding::WorkerCrashed&) {
          ++crashed;  // it ran
        }
      }
      CHECK(crashed <= 1);
    }
  }

  TEST_CASE("a large result that nobody has read yet survives its worker") {
    const Pool pool(1);
    const std::string text = text_of(8 * mebibyte, 'x');
    siding::run([&]() -> Task<> {
      const int pid = co_await siding::offload(*pool, own_pid);
      const Future<std::string> call = siding::run_in_executor(*pool, echo, text);
      // Without a suspension, so that nobody takes the result.
      CHECK(becomes_true([&] { return is_asleep(pid, pid); }));
      ::kill(pid, SIGKILL);
      const int next = co_await siding::offload(*pool, own_pid);
      CHECK(next != pid);
      bool equal = false;
      try {
        const std::string result = co_await call;
        equal = result == text;
      } catch (const siding::WorkerCrashed&) {
        equal = true;  // it slept within its call
      }
      CHECK(equal);
    });
  }

  TEST_CASE("large results that cannot be written leave no trace in their worker") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    for (int i = 0; i < 100; ++i) {
      CHECK_THROWS_AS(value_of(pool->submit(make_fails_late, mebibyte)), siding::SerializationError);
    }
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("a worker that has no descriptor left takes and gives large values") {
    const Pool pool(1);
    const std::string text = text_of(5 * mebibyte, 'x');
    const int pid = value_of(pool->submit(own_pid));
    for (int i = 0; i < 2; ++i) {
      CHECK((value_of(pool->submit(use_every_descriptor_and_echo, text)) == text));
    }
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  // PP-024
  TEST_CASE("a low limit of file sizes bounds what crosses, and says so") {
    const LowerLimit limit(RLIMIT_FSIZE, 4 * mebibyte);
    const Pool pool(1);
    const std::string text(mebibyte, 'x');
    CHECK((value_of(pool->submit(echo, text)) == text));

    std::string refusal;
    try {
      value_of(pool->submit(length, std::string(4 * mebibyte, 'x')));
    } catch (const siding::SerializationError& error) {
      refusal = error.what();
    }
    CHECK(refusal.find("RLIMIT_FSIZE") != std::string::npos);
    CHECK_THROWS_AS(value_of(pool->submit(
                        [](std::size_t size) { return std::string(size, 'x'); }, 4 * mebibyte)),
                    siding::SerializationError);
    CHECK(value_of(pool->submit(length, text)) == mebibyte);
  }

  TEST_CASE("where not even a worker's memory may be made, the pool breaks and says which limit it is") {
    const LogCapture log;
    const Pool pool(1);
    const LowerLimit limit(RLIMIT_FSIZE, 4096);
    std::string text;
    try {
      value_of(pool->submit(own_pid));
    } catch (const siding::BrokenExecutor& error) {
      text = error.what();
    }
    CHECK(text.find("RLIMIT_FSIZE") != std::string::npos);
  }
}

}  // namespace siding_test::process_pool_large_test
