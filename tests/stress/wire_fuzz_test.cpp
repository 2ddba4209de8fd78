// SPDX-License-Identifier: MIT
// Damaged messages: each is read as some value or refused, and never makes the reader allocate out
// of proportion.
//
// This program replaces the global operator new to see how much is asked of it. Under a sanitizer
// that would hide errors from it, so there only the outcome is checked.
//
// A longer run by hand, and the same again where one failed:
//
//   SIDING_TEST_ROUNDS=100000000 build/tests/wire_fuzz_test
//   SIDING_TEST_SEED=1234 build/tests/wire_fuzz_test
#include <siding/wire.hpp>

#include <siding/detail/remote_exception.hpp>
#include <siding/detail/sanitizers.hpp>
#include <siding/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <filesystem>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <span>
#include <stack>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "support/seed.hpp"

namespace {

// Bytes asked for since it was last set to zero. The test has one thread.
std::size_t asked_for = 0;

}  // namespace

#if !SIDING_SANITIZED
// noinline: g++ 12 would see the free() behind a delete and call it a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  asked_for += size;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace siding_test::wire_fuzz_test {
namespace {

using siding::SerializationError;
using siding::WireReader;

enum class Kind : unsigned char { one, two };

struct Tree {
  int value = 0;
  std::vector<Tree> children;
  std::unique_ptr<Tree> next;
};
struct Record {
  std::string name;
  bool flag = false;
  Kind kinds[3] = {};
  std::optional<std::vector<double>> numbers;
  std::map<std::string, std::set<int>> sets;
  std::variant<int, std::string, std::vector<bool>> any;
};
class Hooked {
 public:
  template <class Archive>
  friend void siding_fields(Archive& archive, Hooked& hooked) {
    archive(hooked.text_, hooked.numbers_);
  }

 private:
  std::string text_ = "hooked";
  std::deque<short> numbers_{1, 2, 3};
};

/// A valid message, and how to read it.
struct Subject {
  std::vector<std::byte> message;
  void (*read)(std::span<const std::byte> bytes);
};
template <class T>
Subject subject(const T& value) {
  return {siding::to_wire(value),
          [](std::span<const std::byte> bytes) { (void)siding::from_wire<T>(bytes); }};
}
Subject error_subject() {
  std::exception_ptr error;
  try {
    try {
      throw std::system_error(2, std::generic_category(), "open");
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (...) {
    error = std::current_exception();
  }
  return {siding::detail::encode_exception(error), [](std::span<const std::byte> bytes) {
            (void)siding::detail::decode_exception(bytes, 1, "call");
          }};
}

int function(int number) { return number; }

std::vector<Subject> make_subjects() {
  Tree tree;
  tree.children.resize(3);
  tree.children[1].next = std::make_unique<Tree>();
  Record record{"name", true, {Kind::two}, std::vector<double>{1, 2}, {{"a", {1, 2}}}, "text"};
  std::vector<Subject> subjects;
  subjects.push_back(subject(tree));
  subjects.push_back(subject(std::vector<Record>(2)));
  subjects.push_back(subject(record));
  subjects.push_back(subject(Hooked()));
  subjects.push_back(subject(std::vector<Hooked>(3)));
  subjects.push_back(subject(std::vector<std::vector<std::string>>{{"a", "b"}, {}, {"ccc"}}));
  subjects.push_back(subject(std::vector<double>(9, 1.5)));
  subjects.push_back(subject(std::vector<bool>(20, true)));
  subjects.push_back(subject(std::vector<std::monostate>(7)));
  subjects.push_back(subject(std::unordered_map<std::string, int>{{"a", 1}, {"b", 2}}));
  subjects.push_back(subject(std::multimap<int, std::u16string>{{1, u"x"}, {1, u"yy"}}));
  subjects.push_back(subject(std::list<std::optional<std::vector<std::bitset<9>>>>(4)));
  subjects.push_back(subject(std::forward_list<std::tuple<bool, std::complex<float>, char>>(3)));
  subjects.push_back(
      subject(std::pair(std::filesystem::path("/a/b"), std::array<std::string, 2>{"x", "y"})));
  subjects.push_back(subject(std::pair(&function, std::chrono::seconds(3))));
  subjects.push_back(subject(std::stack<std::string>(std::deque<std::string>{"a", "bb"})));
  std::priority_queue<int> most;
  for (const int number : {3, 1, 2}) most.push(number);
  subjects.push_back(subject(most));
  subjects.push_back(subject(std::vector(3, std::chrono::year_month_day(std::chrono::sys_days()))));
  subjects.push_back(subject(std::pair(std::error_code(2, std::system_category()),
                                       std::make_exception_ptr(std::out_of_range("x")))));
  subjects.push_back(error_subject());
  return subjects;
}

std::vector<std::byte> damaged(const Subject& subject, std::mt19937& random) {
  constexpr std::uint64_t evil[] = {0, 1, 255, 65536, 1ULL << 31, 1ULL << 40, ~0ULL, ~0ULL / 8 + 1};
  std::vector<std::byte> bytes = subject.message;
  for (unsigned change = 0; change <= random() % 4; ++change) {
    const std::size_t place = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 5) {
      case 0:
        if (!bytes.empty()) bytes[place] ^= static_cast<std::byte>(1U << random() % 8);
        break;
      case 1:
        if (!bytes.empty()) bytes[place] = static_cast<std::byte>(random());
        break;
      case 2:
        bytes.resize(place);
        break;
      case 3:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(place), random() % 9,
                     static_cast<std::byte>(random() % 3));
        break;
      default:  // a count, if it is one
        if (bytes.size() >= place + 8)
          std::memcpy(bytes.data() + place, &evil[random() % std::size(evil)], 8);
        break;
    }
  }
  return bytes;
}

TEST_SUITE("Wire stress") {
  // SE-010
  TEST_CASE("a damaged message is read or refused, without much memory") {
    const unsigned seed = siding_test::random_seed();
    INFO("SIDING_TEST_SEED=" << seed);
    std::mt19937 random(seed);
    const std::vector<Subject> subjects = make_subjects();
    for (const Subject& subject : subjects)
      CHECK_NOTHROW(subject.read(subject.message));

    const auto rounds = siding_test::random_rounds(200'000);
    unsigned long read = 0;
    unsigned long refused = 0;
    unsigned long other = 0;
    std::size_t most = 0;
    for (unsigned long round = 0; round < rounds; ++round) {
      const Subject& subject = subjects[round % subjects.size()];
      const std::vector<std::byte> bytes = damaged(subject, random);
      asked_for = 0;
      try {
        subject.read(bytes);
        ++read;
      } catch (const SerializationError&) {
        ++refused;
      } catch (...) {
        ++other;
      }
      most = std::max(most, asked_for);
    }

    CHECK(other == 0);
    CHECK(read + refused == rounds);
    CHECK(read > rounds / 100);
    CHECK(refused > rounds / 4);
    // The largest comes of a vector of 65536 empty elements, or of nodes for one byte each.
    CHECK(most < 256 * 1024);
    MESSAGE(read << " read, " << refused << " refused, at most " << most << " bytes at once");
  }
}

}  // namespace
}  // namespace siding_test::wire_fuzz_test
