// SPDX-License-Identifier: MIT
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "support/counted.hpp"
#include "support/reports.hpp"
#include "support/sleep_watch.hpp"

namespace siding_test::descriptor_test {
namespace {

/// Two connected sockets.
class Pair {
 public:
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) == 0); }
  ~Pair() {
    for (const int end : ends_) ::close(end);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  int near() const { return ends_[0]; }
  void send(std::string_view text) const {
    REQUIRE(::write(ends_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  std::string receive(std::size_t most) const {
    std::string text(most, '\0');
    const ssize_t size = ::read(ends_[0], text.data(), text.size());
    REQUIRE(size >= 0);
    text.resize(static_cast<std::size_t>(size));
    return text;
  }

 private:
  std::array<int, 2> ends_{};
};

TEST_SUITE("descriptor") {
  // LP-017
  TEST_CASE("a callback is called while there is something to read, until it is removed") {
    siding::EventLoop loop;
    const Pair pair;
    std::string seen;
    int calls = 0;
    loop.add_reader(pair.near(), [&] {
      ++calls;
      seen += pair.receive(2);
      if (seen.size() == 6) loop.stop();
    });
    std::thread sends([&] {
      pair.send("abc");
      pair.send("def");
    });
    loop.run_forever();
    sends.join();

    CHECK(seen == "abcdef");
    CHECK(calls >= 3);
    CHECK(loop.remove_reader(pair.near()));
    CHECK_FALSE(loop.remove_reader(pair.near()));

    pair.send("x");
    loop.call_later(std::chrono::milliseconds(1), [&] { loop.stop(); });
    loop.run_forever();
    CHECK(seen == "abcdef");
  }

  // LP-017
  TEST_CASE("it wakes a loop that sleeps") {
    siding::EventLoop loop;
    const Pair pair;
    std::string seen;
    std::thread sends;
    loop.call_soon([&] {
      loop.add_reader(pair.near(), [&] {
        seen = pair.receive(8);
        loop.stop();
      });
      sends = std::thread([&, watch = SleepWatch()] {
        watch.wait_until_asleep();
        pair.send("late");
      });
    });
    loop.run_forever();
    sends.join();

    CHECK(seen == "late");
  }

  // LP-017
  TEST_CASE("a callback for writing is one of its own, and may remove itself") {
    siding::EventLoop loop;
    const Pair pair;
    int writable = 0;
    int readable = 0;
    loop.add_reader(pair.near(), [&] {
      ++readable;
      pair.receive(8);
      loop.stop();
    });
    loop.add_writer(pair.near(), [&] {
      ++writable;
      CHECK(loop.remove_writer(pair.near()));
      CHECK_FALSE(loop.remove_writer(pair.near()));
      pair.send("x");
    });
    loop.run_forever();

    CHECK(writable == 1);
    CHECK(readable == 1);
  }

  TEST_CASE("a second callback takes the place of the first, which is destroyed") {
    Counts counts;
    siding::EventLoop loop;
    const Pair pair;
    bool first = false;
    bool second = false;
    loop.add_reader(pair.near(), [&, kept = Counted(counts)] { first = true; });
    loop.add_reader(pair.near(), [&] {
      second = true;
      loop.stop();
    });
    CHECK(counts.alive() == 0);
    pair.send("x");
    loop.run_forever();

    CHECK_FALSE(first);
    CHECK(second);
  }

  TEST_CASE("what a callback throws is reported, and the descriptor is watched on") {
    siding::EventLoop loop;
    const Reports reports(loop);
    const Pair pair;
    loop.add_reader(pair.near(), [&] {
      if (pair.receive(1) == "b") loop.stop();
      throw std::runtime_error("cannot read this");
    });
    pair.send("ab");
    loop.run_forever();

    REQUIRE(reports.size() == 2);
    CHECK(reports[1].message == "a callback of a descriptor threw");
    CHECK(reports[1].error == "std::runtime_error: cannot read this");
  }

  TEST_CASE("what is no descriptor, or is always ready, is refused") {
    siding::EventLoop loop;
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);

    CHECK_THROWS_AS(loop.add_reader(-1, [] {}), std::system_error);
    CHECK_THROWS_AS(loop.add_reader(file, [] {}), std::invalid_argument);
    CHECK_THROWS_AS(loop.add_writer(file, [] {}), std::invalid_argument);

    ::close(file);
    loop.close();
    CHECK_THROWS_AS(loop.add_reader(0, [] {}), siding::LoopClosed);
    CHECK_THROWS_AS(loop.remove_reader(0), siding::LoopClosed);
  }

  TEST_CASE("a loop may be closed with callbacks, and removed ones, that were never called") {
    Counts counts;
    const Pair pair;
    const Pair other;
    {
      siding::EventLoop loop;
      loop.add_reader(pair.near(), [kept = Counted(counts)] {});
      loop.add_reader(other.near(), [kept = Counted(counts)] {});
      loop.call_soon([&] {
        loop.remove_reader(other.near());
        loop.stop();
      });
      loop.run_forever();
    }

    CHECK(counts.alive() == 0);
  }
}

}  // namespace
}  // namespace siding_test::descriptor_test
