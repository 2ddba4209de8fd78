// SPDX-License-Identifier: MIT
// What crosses between the program and its workers, through a pool. The codec itself is tested in
// wire_test and remote_exception_test.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "support/process_pool_subject.hpp"

namespace siding_test::process_pool_values_test {
namespace {

using Pool = PoolSubject;

enum class Colour { red, green };

class Hooked {
 public:
  Hooked() = default;
  Hooked(int number, std::string text) : number_(number), text_(std::move(text)) {}
  friend bool operator==(const Hooked&, const Hooked&) = default;

 private:
  template <class Archive>
  friend void siding_fields(Archive& archive, Hooked& value) {
    archive(value.number_, value.text_);
  }
  int number_ = 0;
  std::string text_;
};

template <class T>
T echo(T value) {
  return value;
}
template <class T>
void check_echo(siding::ProcessPool& pool, const T& value) {
  CHECK((value_of(pool.submit(echo<T>, value)) == value));
}

/// Breaks where it is told to.
struct Fragile {
  enum class At { nowhere, write, read } at = At::nowhere;
};

/// How many of them hold something. Of each process; on the loop's thread only.
int full_blocks = 0;

/// Knows how many others there were when it was read.
class Block {
 public:
  explicit Block(int before = 0) : before_(before) { ++full_blocks; }
  Block(Block&& other) noexcept
      : before_(other.before_), full_(std::exchange(other.full_, false)) {}
  ~Block() { full_blocks -= full_ ? 1 : 0; }
  int before() const { return before_; }

 private:
  int before_;
  bool full_ = true;
};
Block pass_block(Block block) { return block; }

}  // namespace
}  // namespace siding_test::process_pool_values_test

template <>
struct siding::Wire<siding_test::process_pool_values_test::Block> {
  using Block = siding_test::process_pool_values_test::Block;
  static void write(WireWriter&, const Block&) {}
  static Block read(WireReader&) {
    return Block(siding_test::process_pool_values_test::full_blocks);
  }
};

template <>
struct siding::Wire<siding_test::process_pool_values_test::Fragile> {
  using Fragile = siding_test::process_pool_values_test::Fragile;
  static void write(WireWriter& out, const Fragile& value) {
    if (value.at == Fragile::At::write) throw std::runtime_error("ser");
    out.value(static_cast<int>(value.at));
  }
  static Fragile read(WireReader& in) {
    const auto at = static_cast<Fragile::At>(in.value<int>());
    if (at == Fragile::At::read) throw std::runtime_error("deser");
    return {at};
  }
};

namespace siding_test::process_pool_values_test {
namespace {

int own_pid() { return ::getpid(); }
int take_fragile(Fragile) { return ::getpid(); }
Fragile make_fragile(int at) { return {static_cast<Fragile::At>(at)}; }

struct Private {
  int code;
};
struct Registered : std::runtime_error {
  Registered() : runtime_error("registered") {}
  Registered(int c, std::string t) : runtime_error("registered"), code(c), text(std::move(t)) {}
  template <class Archive>
  friend void siding_fields(Archive& archive, Registered& value) {
    archive(value.code, value.text);
  }
  int code = 0;
  std::string text;
};
const siding::RegisterError<Registered> registered_crosses{};

void throw_number(int which) {
  switch (which) {
    case 0:
      throw std::runtime_error("r");
    case 1:
      throw std::invalid_argument("i");
    case 2:
      throw std::out_of_range("o");
    case 3:
      throw std::bad_alloc();
    case 4:
      throw std::system_error(ENOENT, std::generic_category(), "opening");
    case 5:
      throw Private{5};
    case 6:
      throw Registered(7, "x");
    default:
      try {
        throw std::runtime_error("inner");
      } catch (...) {
        std::throw_with_nested(std::logic_error("outer"));
      }
  }
}

TEST_SUITE("ProcessPool: values and errors") {
  // SE-001
  TEST_CASE("values of the common types come back as they were sent") {
    const Pool pool(1);
    check_echo(*pool, 7);
    check_echo(*pool, 2.5);
    check_echo(*pool, true);
    check_echo(*pool, Colour::green);
    check_echo(*pool, std::string("text"));
    check_echo(*pool, std::vector<std::string>{"a", "b"});
    check_echo(*pool, std::map<std::string, int>{{"a", 1}});
    check_echo(*pool, std::optional<int>(3));
    check_echo(*pool, std::variant<int, std::string>("v"));
    check_echo(*pool, std::tuple<int, std::string>(1, "t"));
    check_echo(*pool, Hooked(4, "hook"));
    CHECK_NOTHROW(value_of(pool->submit([] {})));
  }

  // SE-003
  TEST_CASE("an argument whose hook throws while it is written fails that call only") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));

    const auto bad = pool->submit(take_fragile, Fragile{Fragile::At::write});

    CHECK_THROWS_WITH_AS(value_of(bad), "ser", std::runtime_error);
    CHECK(value_of(pool->submit(take_fragile, Fragile{})) == pid);
  }

  // SE-004
  TEST_CASE("an argument whose hook throws in the worker fails that call only, the worker lives") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));

    const auto bad = pool->submit(take_fragile, Fragile{Fragile::At::read});

    CHECK_THROWS_WITH_AS(value_of(bad), doctest::Contains("deser"), siding::SerializationError);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  // SE-005
  TEST_CASE("a result whose hook throws in the worker fails that call only, the worker lives") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));

    const auto bad = pool->submit(make_fragile, static_cast<int>(Fragile::At::write));

    CHECK_THROWS_WITH_AS(value_of(bad), doctest::Contains("ser"), siding::SerializationError);
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  TEST_CASE("a result whose hook throws in the program fails that call only") {
    const Pool pool(1);
    const auto bad = pool->submit(make_fragile, static_cast<int>(Fragile::At::read));
    CHECK_THROWS_WITH_AS(value_of(bad), "deser", std::runtime_error);
    CHECK(value_of(pool->submit(own_pid)) > 0);
  }

  // SE-006, EX-022
  TEST_CASE("standard exceptions arrive as themselves, others as RemoteError with name and call") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    CHECK_THROWS_WITH_AS(value_of(pool->submit(throw_number, 0)), "r", std::runtime_error);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(throw_number, 1)), "i", std::invalid_argument);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(throw_number, 2)), "o", std::out_of_range);
    CHECK_THROWS_AS(value_of(pool->submit(throw_number, 3)), std::bad_alloc);
    try {
      value_of(pool->submit({.name = "parse"}, throw_number, 5));
      FAIL("it should have thrown");
    } catch (const siding::RemoteError& error) {
      CHECK(error.type_name().find("Private") != std::string::npos);
      CHECK(error.pid() == pid);
      CHECK(error.call() == "parse");
    }
  }

  // SE-008
  TEST_CASE("an error tells in which process and in which call it was thrown") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    for (const int which : {0, 1, 2, 3, 4, 5, 6, 7}) {
      std::optional<siding::RemoteOrigin> origin;
      try {
        value_of(pool->submit({.name = "parse"}, throw_number, which));
      } catch (...) {
        origin = siding::remote_origin(std::current_exception());
      }
      REQUIRE(origin.has_value());
      CHECK(origin->pid() == pid);
      CHECK(origin->call() == "parse");
      CHECK(std::string(origin->what()) == "in process " + std::to_string(pid) + ", call parse");
    }
    // Without a name it is the function's type.
    try {
      value_of(pool->submit(throw_number, 0));
      FAIL("it should have thrown");
    } catch (const std::runtime_error&) {
      CHECK(siding::remote_origin(std::current_exception())->call() == "void (*)(int)");
    }
  }

  // SE-007
  TEST_CASE("a system_error keeps its code and category") {
    const Pool pool(1);
    try {
      value_of(pool->submit(throw_number, 4));
      FAIL("it should have thrown");
    } catch (const std::system_error& error) {
      CHECK(error.code() == std::error_code(ENOENT, std::generic_category()));
    }
  }

  // SE-009
  TEST_CASE("a registered exception arrives as itself, with its fields") {
    const Pool pool(1);
    try {
      value_of(pool->submit(throw_number, 6));
      FAIL("it should have thrown");
    } catch (const Registered& error) {
      CHECK(error.code == 7);
      CHECK(error.text == "x");
    }
  }

  TEST_CASE("nested exceptions arrive nested") {
    const Pool pool(1);
    try {
      value_of(pool->submit(throw_number, 7));
      FAIL("it should have thrown");
    } catch (const std::logic_error& error) {
      CHECK(error.what() == std::string("outer"));
      CHECK_THROWS_WITH_AS(std::rethrow_if_nested(error), "inner", std::runtime_error);
    }
  }

  TEST_CASE("arguments are gone before the result is made, which may get their memory") {
    const Pool pool(1);
    siding::run([&]() -> siding::Task<> {
      Block argument;
      const Block awaited = co_await siding::offload(*pool, pass_block, siding::take(argument));
      CHECK(awaited.before() == 0);

      Block second;
      auto future = siding::run_in_executor(*pool, pass_block, siding::take(second));
      const Block taken = co_await std::move(future);
      CHECK(taken.before() == 1);  // the one above
    });
    CHECK(full_blocks == 0);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_values_test
