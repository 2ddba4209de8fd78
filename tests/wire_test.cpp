// SPDX-License-Identifier: MIT
// The rules of the codec: hooks, limits, damaged messages. The types are in wire_types_test.cpp.
#include <siding/wire.hpp>

#include <siding/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace siding_test::wire_test {

/// A class with the friend for both directions.
class Account {
 public:
  Account() = default;
  Account(std::string owner, long balance) : owner_(std::move(owner)), balance_(balance) {}

  template <class Archive>
  friend void siding_fields(Archive& archive, Account& account) {
    archive(account.owner_, account.balance_);
  }
  friend bool operator==(const Account&, const Account&) = default;

 private:
  std::string owner_;
  long balance_ = 0;
};

/// Without the friend of its own: that of the base would lose `limit`.
class LimitedAccount : public Account {
 public:
  long limit = 0;
};
class NamedAccount : public Account {
 public:
  std::string name;
  template <class Archive>
  friend void siding_fields(Archive& archive, NamedAccount& account) {
    archive(static_cast<Account&>(account), account.name);
  }
};

/// Not default constructible, so only siding::Wire can read it.
class Even {
 public:
  explicit Even(int value) : value_(value) {
    if (value % 2 != 0) throw std::invalid_argument("odd");
  }
  int value() const { return value_; }
  friend bool operator==(const Even&, const Even&) = default;

 private:
  int value_;
};

/// Writes another number of bytes each time.
struct Growing {
  mutable int writes = 0;
};

/// Throws when it is written.
struct Unwritable {};

/// Cannot be copied.
class Fragile {
 public:
  Fragile() = default;
  Fragile(const Fragile&) { throw std::runtime_error("fragile"); }
  template <class Archive>
  friend void siding_fields(Archive&, Fragile&) {}
};

struct Tree {
  int value = 0;
  std::vector<Tree> children;
  std::unique_ptr<Tree> next;
};

struct Empty {};

/// One byte in a message when it is empty, a lot of memory.
struct Wide {
  std::array<std::string, 1000> texts;
};

}  // namespace siding_test::wire_test

template <>
struct siding::Wire<siding_test::wire_test::Even> {
  using Even = siding_test::wire_test::Even;
  static void write(WireWriter& writer, const Even& even) { writer.value(even.value()); }
  static Even read(WireReader& reader) { return Even(reader.value<int>()); }
};
template <>
struct siding::Wire<siding_test::wire_test::Growing> {
  using Growing = siding_test::wire_test::Growing;
  static void write(WireWriter& writer, const Growing& growing) {
    ++growing.writes;
    for (int i = 0; i < growing.writes; ++i)
      writer.value(i);
  }
  static Growing read(WireReader&) { return {}; }
};
template <>
struct siding::Wire<siding_test::wire_test::Unwritable> {
  using Unwritable = siding_test::wire_test::Unwritable;
  static void write(WireWriter&, const Unwritable&) { throw std::runtime_error("ser"); }
  static Unwritable read(WireReader&) { return {}; }
};

namespace siding_test::wire_test {
namespace {

using siding::from_wire;
using siding::SerializationError;
using siding::to_wire;
using siding::WireReader;
using siding::WireWriter;

Tree chain_of(int length) {
  Tree head;
  for (int i = 1; i < length; ++i) {
    Tree next;
    next.value = i;
    next.next = std::make_unique<Tree>(std::move(head));
    head = std::move(next);
  }
  return head;
}

/// A message that claims `count` elements and has `rest` bytes of them.
std::vector<std::byte> claim(std::uint64_t count, std::size_t rest) {
  std::vector<std::byte> bytes = to_wire(count);
  bytes.resize(bytes.size() + rest);
  return bytes;
}

static_assert(siding::Portable<Tree>);
static_assert(siding::Portable<NamedAccount>);
static_assert(!siding::Portable<LimitedAccount>);

TEST_SUITE("Wire") {
  // SE-001
  TEST_CASE("a class crosses by its friend siding_fields, and by siding::Wire") {
    const Account account("ann", 7);
    CHECK(from_wire<Account>(to_wire(account)) == account);
    CHECK(from_wire<Even>(to_wire(Even(4))) == Even(4));

    const std::vector<Account> accounts{account, Account("bob", -1)};
    CHECK(from_wire<std::vector<Account>>(to_wire(accounts)) == accounts);
    const std::vector<std::optional<Even>> evens{Even(2), std::nullopt};
    CHECK(from_wire<std::vector<std::optional<Even>>>(to_wire(evens)) == evens);
  }

  TEST_CASE("the hook of a derived class may call that of its base, and is used for it alone") {
    NamedAccount account;
    static_cast<Account&>(account) = Account("ann", 7);
    account.name = "savings";

    const auto copy = from_wire<NamedAccount>(to_wire(account));

    CHECK(static_cast<const Account&>(copy) == Account("ann", 7));
    CHECK(copy.name == "savings");
  }

  TEST_CASE("a type may be inside itself") {
    Tree tree;
    tree.children.resize(3);
    tree.children[1].children.resize(2);
    tree.children[1].children[1].value = 5;

    const Tree copy = from_wire<Tree>(to_wire(tree));

    REQUIRE(copy.children.size() == 3);
    REQUIRE(copy.children[1].children.size() == 2);
    CHECK(copy.children[1].children[1].value == 5);
    CHECK(copy.next == nullptr);
  }

  TEST_CASE("a writer without a target counts what the other one writes") {
    const std::vector<double> numbers(3);
    const std::string text = "text";
    WireWriter counter;
    counter.value('c');
    counter.value(numbers);
    counter.value(text);

    std::vector<std::byte> bytes(counter.size());
    WireWriter writer(bytes);
    writer.value('c');
    writer.value(numbers);
    writer.value(text);

    CHECK(writer.size() == counter.size());
    WireReader reader(bytes);
    CHECK(reader.value<char>() == 'c');
    CHECK(reader.value<std::vector<double>>() == numbers);
    CHECK(reader.value<std::string>() == text);
    CHECK(reader.left() == 0);
    CHECK_NOTHROW(reader.expect_end());
  }

  TEST_CASE("a vector of numbers is read from any address") {
    const std::vector<double> numbers{1.5, 2.5};
    const std::vector<std::byte> bytes = to_wire('c', numbers);
    std::vector<std::byte> moved(bytes.size() + 1);
    std::copy(bytes.begin(), bytes.end(), moved.begin() + 1);

    WireReader reader(std::span<const std::byte>(moved).subspan(1));

    CHECK(reader.value<char>() == 'c');
    CHECK(reader.value<std::vector<double>>() == numbers);
  }

  TEST_CASE("a hook that writes more than it had measured is caught") {
    const Growing growing;
    std::string text;
    try {
      (void)to_wire(growing);
    } catch (const SerializationError& error) {
      text = error.what();
    }
    CHECK(text.find("wrote more than it had measured") != std::string::npos);
  }

  TEST_CASE("what a hook throws is passed on") {
    CHECK_THROWS_WITH_AS((void)to_wire(Unwritable()), "ser", std::runtime_error);
    CHECK_THROWS_WITH_AS((void)from_wire<Even>(to_wire(3)), "odd", std::invalid_argument);
  }

  // SE-010
  TEST_CASE("a message that is cut short is refused, wherever it is cut") {
    const auto message = std::pair(std::string("text"), std::vector<std::optional<int>>{1, {}, 3});
    using Message = std::remove_const_t<decltype(message)>;
    const std::vector<std::byte> bytes = to_wire(message);
    CHECK(from_wire<Message>(bytes) == message);

    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK_THROWS_AS((void)from_wire<Message>(std::span(bytes).first(size)), SerializationError);
    }
  }

  TEST_CASE("bytes that are left over are refused") {
    CHECK_THROWS_WITH_AS((void)from_wire<int>(to_wire(1, true)),
                         "a message is too long: 1 bytes are left over", SerializationError);
  }

  // SE-010
  TEST_CASE("a count that the bytes left cannot hold is refused before anything is allocated") {
    for (const std::uint64_t count :
         {std::uint64_t{3}, std::uint64_t{1} << 31, ~std::uint64_t{0}, ~std::uint64_t{0} / 8 + 1}) {
      CAPTURE(count);
      const std::vector<std::byte> bytes = claim(count, 16);
      CHECK_THROWS_AS((void)from_wire<std::vector<double>>(bytes), SerializationError);
      CHECK_THROWS_AS((void)from_wire<std::vector<std::string>>(bytes), SerializationError);
      CHECK_THROWS_AS((void)from_wire<std::u16string>(claim(count, 5)), SerializationError);
    }
    CHECK_THROWS_AS((void)from_wire<std::vector<bool>>(claim(129, 16)), SerializationError);
    CHECK_THROWS_AS((void)from_wire<std::vector<bool>>(claim(~std::uint64_t{0}, 16)),
                    SerializationError);
  }

  TEST_CASE("elements without content are counted, up to 65536 of them") {
    CHECK(from_wire<std::vector<Empty>>(to_wire(std::vector<Empty>(65536))).size() == 65536);
    CHECK_THROWS_AS((void)to_wire(std::vector<Empty>(65537)), SerializationError);
    CHECK_THROWS_AS((void)from_wire<std::vector<Empty>>(claim(65537, 0)), SerializationError);
    CHECK_THROWS_AS((void)from_wire<std::vector<std::monostate>>(claim(~std::uint64_t{0}, 0)),
                    SerializationError);
  }

  TEST_CASE("values of invalid content are refused") {
    const auto two = static_cast<unsigned char>(2);
    enum class Answer : bool { no, yes };
    CHECK_THROWS_AS((void)from_wire<bool>(to_wire(two)), SerializationError);
    CHECK_THROWS_AS((void)from_wire<Answer>(to_wire(two)), SerializationError);
    CHECK_THROWS_AS((void)from_wire<std::optional<int>>(to_wire(two, 1)), SerializationError);
    CHECK_THROWS_AS((void)from_wire<std::unique_ptr<int>>(to_wire(two, 1)), SerializationError);
    using Variant = std::variant<int, float>;
    CHECK_THROWS_AS((void)from_wire<Variant>(to_wire(two, 1)), SerializationError);
    using Set = std::set<int>;
    CHECK_THROWS_AS((void)from_wire<Set>(to_wire(std::vector<int>{4, 4})), SerializationError);
  }

  TEST_CASE("a variant that lost its value cannot be written") {
    std::variant<int, Fragile> variant;
    const Fragile fragile;
    CHECK_THROWS(variant.emplace<Fragile>(fragile));
    REQUIRE(variant.valueless_by_exception());
    CHECK_THROWS_AS((void)to_wire(variant), SerializationError);
  }

  TEST_CASE("values are nested up to 256 levels, when they are written and when they are read") {
    const std::vector<std::byte> deepest = to_wire(chain_of(256));
    CHECK_NOTHROW((void)from_wire<Tree>(deepest));
    CHECK_THROWS_AS((void)to_wire(chain_of(257)), SerializationError);

    // One more level around the deepest: a value, no children, and the next one.
    std::vector<std::byte> deeper = to_wire(0, std::uint64_t{0}, true);
    deeper.insert(deeper.end(), deepest.begin(), deepest.end());
    CHECK_THROWS_AS((void)from_wire<Tree>(deeper), SerializationError);
  }

  TEST_CASE("a damaged message leaves no level behind in its reader") {
    WireReader reader(std::span<const std::byte>{});
    for (int i = 0; i < 300; ++i)
      CHECK_THROWS_AS((void)reader.value<Tree>(), SerializationError);
  }

  TEST_CASE("large values of few bytes are read as well") {
    const std::vector<std::unique_ptr<Wide>> few(1000);
    const auto copy = from_wire<std::vector<std::unique_ptr<Wide>>>(to_wire(few));
    CHECK(copy.size() == 1000);
    std::vector<std::optional<Wide>> wide(20);
    wide[3].emplace().texts[7] = "seven";
    const auto again = from_wire<std::vector<std::optional<Wide>>>(to_wire(wide));
    REQUIRE(again.size() == 20);
    CHECK_FALSE(again[2].has_value());
    CHECK(again[3].value().texts[7] == "seven");
  }
}

}  // namespace
}  // namespace siding_test::wire_test
