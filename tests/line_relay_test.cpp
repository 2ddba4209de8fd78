// SPDX-License-Identifier: MIT
#include "line_relay.hpp"

#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace siding_test::line_relay_test {
namespace {

using siding::detail::LineRelay;
using Lines = std::vector<std::string>;

struct Relay {
  Lines lines;
  LineRelay relay{[this](std::string_view line) { lines.emplace_back(line); }};

  void feed(std::string_view bytes) { relay.feed({bytes.data(), bytes.size()}); }
};

std::string of(std::size_t size, char letter = 'x') { return std::string(size, letter); }

TEST_SUITE("LineRelay") {
  TEST_CASE("complete lines are given at once, and the last one at the end") {
    Relay relay;
    relay.feed("one\ntwo\n\nthr");
    CHECK(relay.lines == Lines{"one", "two", ""});
    relay.feed("");
    relay.feed("ee");
    CHECK(relay.lines.size() == 3);
    relay.feed("\nfour");
    CHECK(relay.lines == Lines{"one", "two", "", "three"});
    relay.relay.finish();
    CHECK(relay.lines == Lines{"one", "two", "", "three", "four"});
    relay.relay.finish();
    CHECK(relay.lines.size() == 5);
  }

  TEST_CASE("a line that ends gives no other one at the end") {
    Relay relay;
    relay.feed("one\n");
    relay.relay.finish();
    CHECK(relay.lines == Lines{"one"});
  }

  TEST_CASE("a complete line that was fed whole is not copied") {
    const std::string bytes = "one\ntwo\n";
    std::vector<const char*> places;
    LineRelay relay([&places](std::string_view line) { places.push_back(line.data()); });
    relay.feed(bytes);
    CHECK(places == std::vector<const char*>{bytes.data(), bytes.data() + 4});
  }

  TEST_CASE("bytes that are no text pass") {
    Relay relay;
    relay.feed(std::string_view("a\0\xff\r\n", 5));
    CHECK(relay.lines == Lines{std::string("a\0\xff\r", 4)});
  }

  TEST_CASE("a line that is too long is given in pieces") {
    constexpr std::size_t most = LineRelay::longest_line;
    Relay exact;
    exact.feed(of(most) + "\n");
    CHECK(exact.lines == Lines{of(most)});

    Relay longer;
    longer.feed(of(2 * most + 1));
    CHECK(longer.lines == Lines{of(most), of(most)});
    longer.feed("\nz\n");
    CHECK(longer.lines == Lines{of(most), of(most), "x", "z"});

    Relay slow;
    for (std::size_t i = 0; i <= most; ++i) slow.feed("y");
    CHECK(slow.lines == Lines{of(most, 'y')});
    slow.relay.finish();
    CHECK(slow.lines == Lines{of(most, 'y'), "y"});
  }

  TEST_CASE("the tail is the last twenty lines, the one that is not complete among them") {
    Relay relay;
    CHECK(relay.relay.tail().empty());
    relay.feed("one\n");
    CHECK(relay.relay.tail() == "one\n");
    relay.feed("two");
    CHECK(relay.relay.tail() == "one\ntwo");
    relay.feed("\n");
    std::string expected;
    for (int i = 0; i < 30; ++i) {
      const std::string line = std::to_string(i).append("\n");
      relay.feed(line);
      if (i >= 10) expected += line;
    }
    CHECK(relay.relay.tail() == expected);
    relay.feed("begun");
    CHECK(relay.relay.tail() == expected.substr(3) + "begun");
  }

  TEST_CASE("the tail is no longer than its room, and begins with a line where it can") {
    Relay relay;
    relay.feed(of(5000, 'a') + "\n" + of(3000, 'b') + "\n" + of(2000, 'c') + "\n");
    CHECK(relay.relay.tail() == of(3000, 'b') + "\n" + of(2000, 'c') + "\n");
    relay.feed(of(20'000, 'd'));
    CHECK(relay.relay.tail() == of(LineRelay::tail_room, 'd'));
    relay.feed("\n");
    CHECK(relay.relay.tail() == of(LineRelay::tail_room - 1, 'd') + "\n");
  }

  TEST_CASE("how the bytes were cut makes no difference") {
    const unsigned seed = random_seed();
    INFO("SIDING_TEST_SEED=" << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
      std::string bytes;
      for (int line = 0; line < 30; ++line) {
        bytes += of(random() % (line % 10 == 0 ? 20'000 : 200), static_cast<char>('a' + line % 26));
        bytes += '\n';
      }
      Relay whole;
      whole.feed(bytes);
      Relay parts;
      for (std::string_view rest = bytes; !rest.empty();) {
        const std::size_t size = std::min<std::size_t>(rest.size(), random() % 9000);
        parts.feed(rest.substr(0, size));
        rest.remove_prefix(size);
      }
      CHECK(whole.lines == parts.lines);
      CHECK(whole.relay.tail() == parts.relay.tail());
    }
  }
}

}  // namespace
}  // namespace siding_test::line_relay_test
