// SPDX-License-Identifier: MIT
// What workers print, by the line.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/log_capture.hpp"
#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_output_test {
namespace {

using Pool = PoolSubject;

struct Line {
  std::string text;
  bool is_error;
  int pid;
  std::string call;
};

class Lines {
 public:
  void add(const siding::OutputLine& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back({std::string(line.text), line.is_error, line.pid, std::string(line.call)});
  }
  std::vector<Line> wait_for(std::size_t count) const {
    CHECK(becomes_true([&] { return all().size() >= count; }));
    return all();
  }
  std::vector<Line> all() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

siding::ProcessPoolOptions relaying(Lines& lines, std::size_t workers) {
  siding::ProcessPoolOptions options{.max_workers = workers};
  options.output = siding::Output::relay;
  options.on_output = [&lines](const siding::OutputLine& line) { lines.add(line); };
  return options;
}

int print_both(int n) {
  std::printf("out %d\n", n);
  std::fprintf(stderr, "err %d\n", n);
  return ::getpid();
}

int print_without_end(int n) {
  std::printf("part %d", n);
  return n;
}

int flood(int stream) {
  const std::string line(1023, 'x');
  for (int i = 0; i < 1024; ++i) std::fprintf(stream == 1 ? stdout : stderr, "%s\n", line.c_str());
  return 7;
}

int print_for_ever() {
  const std::string line(4095, 'x');
  for (;;) std::fprintf(stderr, "%s\n", line.c_str());
}

int print_and_die() {
  for (int i = 0; i < 30; ++i) std::fprintf(stderr, "step %d\n", i);
  ::_exit(5);
}

int redirect() {
  std::FILE* file = std::tmpfile();
  std::fflush(stdout);
  const int saved = ::dup(1);
  ::dup2(::fileno(file), 1);
  std::printf("for the file\n");
  std::fflush(stdout);
  ::dup2(saved, 1);
  ::close(saved);
  std::rewind(file);
  std::array<char, 64> text{};
  const std::size_t size = std::fread(text.data(), 1, text.size(), file);
  std::fclose(file);
  return static_cast<int>(size);
}

TEST_SUITE("ProcessPool: what workers print") {
  TEST_CASE("each line comes with its process and its call") {
    Lines lines;
    Pool pool(relaying(lines, 1));
    int pid = 0;
    for (int n = 0; n < 20; ++n) {
      pid = value_of(pool->submit({.name = "job " + std::to_string(n)}, print_both, n));
    }
    const std::vector<Line> found = lines.wait_for(40);
    REQUIRE(found.size() == 40);
    for (const Line& line : found) {
      CHECK(line.pid == pid);
      const std::string number = line.text.substr(4);
      CHECK(line.text == (line.is_error ? "err " : "out ") + number);
      CHECK(line.call == "job " + number);
    }
  }

  TEST_CASE("where short calls follow one another closely, no line gets another's name") {
    Lines lines;
    Pool pool(relaying(lines, 2));
    std::vector<siding::Future<int>> calls;
    for (int n = 0; n < 500; ++n) {
      calls.push_back(pool->submit({.name = "job " + std::to_string(n)}, print_both, n));
    }
    for (const auto& call : calls) value_of(call);
    const std::vector<Line> found = lines.wait_for(1000);
    CHECK(found.size() == 1000);
    for (const Line& line : found) CHECK(line.call == "job " + line.text.substr(4));
  }

  TEST_CASE("a line that has no end, ends with its call") {
    Lines lines;
    Pool pool(relaying(lines, 1));
    for (int n = 0; n < 3; ++n) {
      value_of(pool->submit({.name = "job " + std::to_string(n)}, print_without_end, n));
    }
    const std::vector<Line> found = lines.wait_for(3);
    REQUIRE(found.size() == 3);
    for (int n = 0; n < 3; ++n) {
      CHECK(found[static_cast<std::size_t>(n)].text == "part " + std::to_string(n));
      CHECK(found[static_cast<std::size_t>(n)].call == "job " + std::to_string(n));
    }
  }

  // PP-025
  TEST_CASE("a flood on either stream goes through whole") {
    for (const int stream : {1, 2}) {
      Lines lines;
      Pool pool(relaying(lines, 1));
      CHECK(value_of(pool->submit(flood, stream)) == 7);
      const std::vector<Line> found = lines.wait_for(1024);
      CHECK(found.size() == 1024);
      CHECK(std::all_of(found.begin(), found.end(), [stream](const Line& line) {
        return line.text == std::string(1023, 'x') && line.is_error == (stream == 2);
      }));
    }
  }

  TEST_CASE("a call that prints for ever can be ended all the same") {
    Lines lines;
    const Pool pool(relaying(lines, 1));
    const auto call = pool->submit({.run_limit = std::chrono::milliseconds(50)}, print_for_ever);
    CHECK_THROWS_AS(value_of(call), siding::TimeoutError);
    CHECK(lines.all().size() > 1);
  }

  TEST_CASE("the report of a crash holds the last lines on standard error") {
    Lines lines;
    const Pool pool(relaying(lines, 1));
    try {
      value_of(pool->submit(print_and_die));
      FAIL("the worker lives");
    } catch (const siding::WorkerCrashed& crash) {
      const std::string& last = crash.details().last_output;
      CAPTURE(last);
      CHECK(last.find("step 29\n") != std::string::npos);
      CHECK(last.find("step 10\n") != std::string::npos);
      CHECK(last.find("step 9\n") == std::string::npos);
      CHECK(crash.report().find("last lines on standard error:\nstep 10\n") != std::string::npos);
    }
    CHECK(lines.all().size() == 30);
  }

  TEST_CASE("a function that puts a file in the place of standard output finds what it wrote there") {
    Lines lines;
    const Pool pool(relaying(lines, 1));
    CHECK(value_of(pool->submit(redirect)) == 13);
    CHECK(value_of(pool->submit(print_both, 1)) > 0);
    CHECK(lines.wait_for(2).size() == 2);
  }

  TEST_CASE("a callback that throws is told to the log, and the pool goes on") {
    const LogCapture log;
    siding::ProcessPoolOptions options{.max_workers = 1};
    options.output = siding::Output::relay;
    options.on_output = [](const siding::OutputLine&) { throw std::runtime_error("no disk"); };
    Pool pool(options);
    CHECK(value_of(pool->submit(print_both, 1)) > 0);
    CHECK(value_of(pool->submit(print_both, 2)) > 0);
    pool.reset();
    REQUIRE(log.lines().size() == 4);
    CHECK(log.lines()[0].find("on_output threw: std::runtime_error: no disk") != std::string::npos);
  }

  TEST_CASE("without a callback, lines go to the program's own streams with process and call") {
    const KeptForGood kept;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t program = start_child([&]() -> int {
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      ::close(ends[0]);
      siding::ProcessPoolOptions options{.max_workers = 1};
      options.output = siding::Output::relay;
      siding::ProcessPool pool(options);
      const int pid = pool.submit({.name = "hello"}, print_both, 3).get();
      pool.shutdown();
      std::printf("%d", pid);
      std::fflush(stdout);
      return 0;
    });
    ::close(ends[1]);
    std::string text;
    std::array<char, 256> bytes;
    for (ssize_t size = 0; (size = ::read(ends[0], bytes.data(), bytes.size())) > 0;) {
      text.append(bytes.data(), static_cast<std::size_t>(size));
    }
    ::close(ends[0]);
    CHECK(status_of(program) == 0);
    CAPTURE(text);
    const std::string pid = text.substr(text.find_last_of('\n') + 1);
    CHECK(text.find("[" + pid + " hello] out 3\n") != std::string::npos);
    CHECK(text.find("[" + pid + " hello] err 3\n") != std::string::npos);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_output_test
