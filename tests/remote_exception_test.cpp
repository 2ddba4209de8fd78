// SPDX-License-Identifier: MIT
// Errors that cross to another process: here they are written and read in one.
#include <siding/detail/remote_exception.hpp>

#include <siding/cancellation.hpp>
#include <siding/detail/error_report.hpp>
#include <siding/error.hpp>
#include <siding/io_uring_unavailable.hpp>
#include <siding/register_error.hpp>
#include <siding/wire.hpp>

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/types.h>

#include <any>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

namespace siding_test::remote_exception_test {

/// No std::exception, and an aggregate.
struct MyError {
  int code;
  std::string text;
};

/// By the friend.
class ParseError : public std::runtime_error {
 public:
  ParseError() : std::runtime_error("") {}
  ParseError(const std::string& text, int where) : std::runtime_error(text), line(where) {}
  int line = 0;

  template <class Archive>
  friend void siding_fields(Archive& archive, ParseError& error) {
    std::string text = error.what();
    archive(text, error.line);
    if constexpr (Archive::reading) error = ParseError(text, error.line);
  }
};

/// By its text.
struct PlainError : std::logic_error {
  using std::logic_error::logic_error;
};

/// Can be written and not read.
struct StubbornError {
  bool reads = false;
};

/// Can be read and not written.
struct ShyError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Keeps what was handled when it was made.
struct Collecting : std::runtime_error, std::nested_exception {
  using std::runtime_error::runtime_error;
};

struct Unregistered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const siding::RegisterError<MyError> my_error_crosses{};
const siding::RegisterError<MyError> my_error_crosses_twice{};
const siding::RegisterError<ParseError> parse_error_crosses{};
const siding::RegisterError<PlainError> plain_error_crosses{};
const siding::RegisterError<Collecting> collecting_crosses{};

}  // namespace siding_test::remote_exception_test

template <>
struct siding::Wire<siding_test::remote_exception_test::StubbornError> {
  using StubbornError = siding_test::remote_exception_test::StubbornError;
  static void write(WireWriter& writer, const StubbornError&) { writer.value(1); }
  static StubbornError read(WireReader& reader) {
    (void)reader.value<int>();
    throw 5;
  }
};
template <>
struct siding::Wire<siding_test::remote_exception_test::ShyError> {
  using ShyError = siding_test::remote_exception_test::ShyError;
  static void write(WireWriter&, const ShyError&) { throw std::bad_alloc(); }
  static ShyError read(WireReader&) { return ShyError("never"); }
};

namespace siding_test::remote_exception_test {
const siding::RegisterError<StubbornError> stubborn_error_crosses{};
const siding::RegisterError<ShyError> shy_error_crosses{};

namespace {

using siding::RemoteError;
using siding::SerializationError;
using siding::detail::decode_exception;
using siding::detail::describe;
using siding::detail::encode_exception;

constexpr pid_t worker = 4711;
constexpr const char* unregistered_spam =
    "siding_test::remote_exception_test::Unregistered: spam (thrown in process 4711 by parse)";

std::exception_ptr sent(const std::exception_ptr& error) {
  return decode_exception(encode_exception(error), worker, "parse");
}
template <class E>
std::exception_ptr sent(const E& error) {
  return sent(std::make_exception_ptr(error));
}
/// What `function` throws, sent.
template <class Function>
std::exception_ptr thrown_and_sent(Function function) {
  try {
    function();
  } catch (...) {
    return sent(std::current_exception());
  }
  return nullptr;
}

/// The error as an `E`; it must be one itself, and no derived class but the one that nests.
template <class E>
E caught(const std::exception_ptr& error) {
  REQUIRE(error != nullptr);
  const std::type_info* const nesting = siding::detail::nested_type_of<E>();
  const std::type_info& type = *error.__cxa_exception_type();
  const bool exact = type == typeid(E) || (nesting != nullptr && type == *nesting);
  CHECK(exact);
  try {
    std::rethrow_exception(error);
  } catch (const E& thrown) {
    return thrown;
  }
}
template <class E>
std::string text_of(const std::exception_ptr& error) {
  return caught<E>(error).what();
}

template <class... E>
void check_texts() {
  const auto check = [](const auto& error) {
    using Error = std::remove_cvref_t<decltype(error)>;
    CHECK(text_of<Error>(sent(error)) == error.what());
  };
  (check(E("spam")), ...);
}
template <class... E>
void check_without_text() {
  const auto check = [](const auto& error) {
    using Error = std::remove_cvref_t<decltype(error)>;
    CHECK(text_of<Error>(sent(error)) == error.what());
  };
  (check(E()), ...);
}

void throw_chain(int depth) {
  if (depth == 0) throw MyError{7, "root"};
  try {
    throw_chain(depth - 1);
  } catch (...) {
    std::throw_with_nested(std::runtime_error("level " + std::to_string(depth)));
  }
}

/// The texts from the outside to the inside, without that of the origin.
std::vector<std::string> texts_of(const std::exception_ptr& error) {
  std::vector<std::string> texts;
  try {
    std::rethrow_exception(error);
  } catch (const siding::RemoteOrigin&) {
    // It is looked for by other means.
  } catch (const std::exception& thrown) {
    texts.emplace_back(thrown.what());
    const auto* nested = dynamic_cast<const std::nested_exception*>(&thrown);
    if (nested != nullptr && nested->nested_ptr() != nullptr) {
      for (std::string& text : texts_of(nested->nested_ptr()))
        texts.push_back(std::move(text));
    }
  } catch (const MyError& thrown) {
    texts.push_back(thrown.text);
  }
  return texts;
}

TEST_SUITE("exceptions from other processes") {
  // SE-006
  TEST_CASE("exceptions of the standard library arrive with their type and text") {
    check_texts<std::logic_error, std::invalid_argument, std::domain_error, std::length_error,
                std::out_of_range, std::runtime_error, std::range_error, std::overflow_error,
                std::underflow_error>();
    check_without_text<std::exception, std::bad_exception, std::bad_alloc,
                       std::bad_array_new_length, std::bad_cast, std::bad_any_cast, std::bad_typeid,
                       std::bad_function_call, std::bad_weak_ptr, std::bad_optional_access,
                       std::bad_variant_access>();
  }

  // SE-006
  TEST_CASE("what the standard library itself throws arrives so, too") {
    CHECK(text_of<std::out_of_range>(thrown_and_sent([] {
            (void)std::string().at(3);
          })).find("basic_string::at") == 0);
    caught<std::bad_optional_access>(thrown_and_sent([] { (void)std::optional<int>().value(); }));
    caught<std::bad_variant_access>(
        thrown_and_sent([] { (void)std::get<1>(std::variant<int, float>()); }));
    caught<std::bad_function_call>(thrown_and_sent([] { std::function<void()>()(); }));
    const auto break_promise = [] {
      std::future<int> future = std::promise<int>().get_future();
      future.get();
    };
    const auto broken = caught<std::future_error>(thrown_and_sent(break_promise));
    CHECK(broken.code() == std::future_errc::broken_promise);
    const auto regex = caught<std::regex_error>(thrown_and_sent([] { std::regex("("); }));
    CHECK(regex.code() == std::regex_constants::error_paren);
  }

  // SE-007
  TEST_CASE("a system_error keeps its code, its category and its text") {
    for (const std::error_category* category :
         {&std::generic_category(), &std::system_category(), &std::iostream_category(),
          &std::future_category()}) {
      const std::system_error error(ENOENT, *category, "open");
      const auto copy = caught<std::system_error>(sent(error));
      CHECK(copy.code().value() == ENOENT);
      CHECK(copy.code().category() == *category);
      CHECK(std::string(copy.what()) == error.what());
    }
    const std::system_error bare(std::make_error_code(std::errc::timed_out));
    CHECK(text_of<std::system_error>(sent(bare)) == bare.what());
  }

  // SE-007
  TEST_CASE("errors of files and streams keep their code and their paths") {
    const std::filesystem::filesystem_error error("copy", "/a", "/b",
                                                  std::make_error_code(std::errc::file_exists));
    const auto copy = caught<std::filesystem::filesystem_error>(sent(error));
    CHECK(copy.code() == std::errc::file_exists);
    CHECK(copy.path1() == "/a");
    CHECK(copy.path2() == "/b");
    CHECK(std::string(copy.what()) == error.what());
    CHECK(caught<std::filesystem::filesystem_error>(thrown_and_sent([] {
            (void)std::filesystem::file_size("/no/such/file");
          })).path1() == "/no/such/file");

    std::string text;
    const auto open = [&text] {
      std::ifstream file;
      file.exceptions(std::ios::failbit);
      try {
        file.open("/no/such/file");
      } catch (const std::ios_base::failure& thrown) {
        text = thrown.what();
        throw;
      }
    };
    const auto failure = caught<std::ios_base::failure>(thrown_and_sent(open));
    CHECK(failure.code() == std::io_errc::stream);
    CHECK(std::string(failure.what()) == text);
  }

  TEST_CASE("a category of somebody else makes a RemoteError of a system_error") {
    struct Category : std::error_category {
      const char* name() const noexcept override { return "own"; }
      std::string message(int) const override { return "own message"; }
    };
    static const Category category;
    const auto error = caught<RemoteError>(sent(std::system_error(3, category, "try")));
    CHECK(error.type_name() == "std::system_error");
    CHECK(error.message() == "try: own message");
  }

  TEST_CASE("exceptions of siding arrive as themselves") {
    check_texts<siding::TimeoutError, siding::ShutdownError, siding::BrokenExecutor,
                siding::LoopClosed, siding::Interrupted, siding::BrokenPromise,
                siding::InvalidStateError, siding::NoRunningLoop, siding::WouldBlockLoop,
                SerializationError, siding::NotPortable>();
    CHECK(caught<siding::Cancelled>(sent(siding::Cancelled("enough"))).reason() == "enough");

    const siding::IoUringUnavailable error(ENOSYS, siding::IoUringCause::kernel_too_old, "Too old",
                                           "Update it.");
    const auto copy = caught<siding::IoUringUnavailable>(sent(error));
    CHECK(copy.cause() == siding::IoUringCause::kernel_too_old);
    CHECK(copy.advice() == "Update it.");
    CHECK(std::string(copy.what()) == error.what());
    CHECK(copy.code() == error.code());
  }

  // SE-006
  TEST_CASE("any other type becomes a RemoteError with its name, its text and its origin") {
    const auto error = caught<RemoteError>(sent(Unregistered("spam")));
    CHECK(error.type_name() == "siding_test::remote_exception_test::Unregistered");
    CHECK(error.message() == "spam");
    CHECK(error.pid() == worker);
    CHECK(error.call() == "parse");
    CHECK(std::string(error.what()) == unregistered_spam);
  }

  TEST_CASE("what is no exception class keeps the name of its type") {
    CHECK(caught<RemoteError>(sent(42)).type_name() == "int");
    CHECK(caught<RemoteError>(sent(std::string("text"))).type_name().find("std::") == 0);
    CHECK(std::string(caught<RemoteError>(sent(42)).what()) ==
          "int (thrown in process 4711 by parse)");
    CHECK(
        std::string(caught<RemoteError>(
                        decode_exception(encode_exception(std::make_exception_ptr(42)), worker, ""))
                        .what()) == "int (thrown in process 4711)");
  }

  TEST_CASE("a RemoteError that crosses once more keeps its first origin") {
    const auto error = caught<RemoteError>(sent(RemoteError("Type", "text", 12, "inner")));
    CHECK(error.type_name() == "Type");
    CHECK(error.message() == "text");
    CHECK(error.pid() == 12);
    CHECK(error.call() == "inner");
  }

  // SE-009
  TEST_CASE("registered types arrive as themselves") {
    const auto mine = caught<MyError>(sent(MyError{7, "x"}));
    CHECK(mine.code == 7);
    CHECK(mine.text == "x");
    const auto parse = caught<ParseError>(sent(ParseError("bad", 3)));
    CHECK(parse.line == 3);
    CHECK(std::string(parse.what()) == "bad");
    CHECK(text_of<PlainError>(sent(PlainError("plain"))) == "plain");
  }

  TEST_CASE("a registered type that cannot be written or read becomes a RemoteError") {
    const auto unread = caught<RemoteError>(sent(StubbornError()));
    CHECK(unread.type_name() == "siding_test::remote_exception_test::StubbornError");
    const auto unwritten = caught<RemoteError>(sent(ShyError("shy")));
    CHECK(unwritten.type_name() == "siding_test::remote_exception_test::ShyError");
    CHECK(unwritten.message() == "shy");
  }

  TEST_CASE("nested errors arrive nested, down to one that is no std::exception") {
    const std::exception_ptr error = thrown_and_sent([] { throw_chain(2); });

    CHECK(texts_of(error) == std::vector<std::string>{"level 2", "level 1", "root"});
    CHECK_THROWS_AS(std::rethrow_exception(error), std::runtime_error);
    CHECK_THROWS_AS(std::rethrow_exception(error), std::nested_exception);
  }

  TEST_CASE("nested errors arrive nested, also if the outer one is unknown, registered or final") {
    const auto nested = [](auto outer) {
      try {
        throw MyError{1, "root"};
      } catch (...) {
        std::throw_with_nested(outer);
      }
    };
    const std::exception_ptr unknown = thrown_and_sent([&] { nested(Unregistered("spam")); });
    CHECK(texts_of(unknown) == std::vector<std::string>{unregistered_spam, "root"});
    CHECK_THROWS_AS(std::rethrow_exception(unknown), RemoteError);

    const std::exception_ptr known = thrown_and_sent([&] { nested(ParseError("bad", 3)); });
    CHECK(texts_of(known) == std::vector<std::string>{"bad", "root"});
    CHECK_THROWS_AS(std::rethrow_exception(known), ParseError);

    const std::exception_ptr own = thrown_and_sent([] {
      try {
        throw MyError{1, "root"};
      } catch (...) {
        throw Collecting("own");
      }
    });
    CHECK(texts_of(own) == std::vector<std::string>{"own", "root"});
    CHECK_THROWS_AS(std::rethrow_exception(own), Collecting);

    CHECK(caught<siding::Cancelled>(thrown_and_sent([&] {
            nested(siding::Cancelled("no"));
          })).reason() == "no");
  }

  TEST_CASE("of a chain of errors the outermost 32 arrive") {
    const std::exception_ptr error = thrown_and_sent([] { throw_chain(100); });
    const std::vector<std::string> texts = texts_of(error);
    REQUIRE(texts.size() == 32);
    CHECK(texts.front() == "level 100");
    CHECK(texts.back() == "level 69");
  }

  // SE-008
  TEST_CASE("an error that arrives as itself has its origin as the innermost nested one") {
    const std::exception_ptr error = sent(std::out_of_range("ham"));
    CHECK(text_of<std::out_of_range>(error) == "ham");
    try {
      std::rethrow_exception(error);
    } catch (const std::out_of_range& thrown) {
      CHECK_THROWS_WITH_AS(std::rethrow_if_nested(thrown), "in process 4711, call parse",
                           siding::RemoteOrigin);
    }
    const std::optional<siding::RemoteOrigin> origin = siding::remote_origin(error);
    REQUIRE(origin.has_value());
    CHECK(origin->pid() == worker);
    CHECK(origin->call() == "parse");
    CHECK(describe(error) == "std::out_of_range: ham (in process 4711, call parse)");

    const std::exception_ptr unnamed = decode_exception(
        encode_exception(std::make_exception_ptr(std::out_of_range("ham"))), worker, "");
    CHECK(describe(unnamed) == "std::out_of_range: ham (in process 4711)");
  }

  // SE-008
  TEST_CASE("the origin of a chain of errors is found from its outermost") {
    for (const int depth : {1, 2, 31, 100}) {
      const std::exception_ptr error = thrown_and_sent([depth] { throw_chain(depth); });
      const std::optional<siding::RemoteOrigin> origin = siding::remote_origin(error);
      REQUIRE(origin.has_value());
      CHECK(origin->call() == "parse");
    }
  }

  // SE-008
  TEST_CASE("an error that tells its origin by itself gets no second one") {
    for (const std::exception_ptr& error :
         {sent(Unregistered("spam")), sent(RemoteError("Type", "text", worker, "parse"))}) {
      CHECK_NOTHROW(std::rethrow_if_nested(caught<RemoteError>(error)));
      CHECK(siding::remote_origin(error)->pid() == worker);
      CHECK(siding::remote_origin(error)->call() == "parse");
    }
    CHECK(describe(sent(Unregistered("spam"))) ==
          std::string("siding::RemoteError: ") + unregistered_spam);

    const std::exception_ptr twice = decode_exception(
        encode_exception(sent(std::out_of_range("ham"))), 12, "outer");
    CHECK(siding::remote_origin(twice)->pid() == worker);
    CHECK(describe(twice) == "std::out_of_range: ham (in process 4711, call parse)");

    siding::CrashDetails details;
    details.pid = 7;
    details.call = "load";
    const auto crash = std::make_exception_ptr(siding::WorkerCrashed("gone", details));
    CHECK(siding::remote_origin(crash)->pid() == 7);
    CHECK(siding::remote_origin(crash)->call() == "load");
  }

  TEST_CASE("errors of this process have no origin, nor have those in which nothing can be nested") {
    CHECK_FALSE(siding::remote_origin(nullptr).has_value());
    CHECK_FALSE(siding::remote_origin(std::make_exception_ptr(42)).has_value());
    CHECK_FALSE(siding::remote_origin(std::make_exception_ptr(std::out_of_range("x"))).has_value());
    try {
      throw_chain(3);
    } catch (...) {
      CHECK_FALSE(siding::remote_origin(std::current_exception()).has_value());
    }
    const std::exception_ptr cancelled = sent(siding::Cancelled("no"));
    CHECK(*cancelled.__cxa_exception_type() == typeid(siding::Cancelled));
    CHECK_FALSE(siding::remote_origin(cancelled).has_value());
  }

  TEST_CASE("an error may stand in the middle of a message") {
    const auto error = std::make_exception_ptr(std::out_of_range("ham"));
    siding::WireWriter counter;
    counter.value('c');
    encode_exception(counter, error);
    std::vector<std::byte> bytes(counter.size());
    siding::WireWriter writer(bytes);
    writer.value('c');
    encode_exception(writer, error);

    siding::WireReader reader(bytes);
    CHECK(reader.value<char>() == 'c');
    CHECK(text_of<std::out_of_range>(decode_exception(reader, worker, "")) == "ham");
    CHECK_NOTHROW(reader.expect_end());
  }

  // SE-010
  TEST_CASE("a damaged error is refused, or is a RemoteError") {
    const std::vector<std::byte> good = encode_exception(
        std::make_exception_ptr(std::system_error(ENOENT, std::generic_category(), "open")));
    for (std::size_t size = 0; size < good.size(); ++size) {
      CHECK_THROWS_AS((void)decode_exception(std::span(good).first(size), worker, ""),
                      SerializationError);
    }
    CHECK_THROWS_AS((void)decode_exception(siding::to_wire(std::vector<int>()), worker, ""),
                    SerializationError);

    // The last bytes are those of its payload.
    std::vector<std::byte> damaged = good;
    damaged[damaged.size() - 17] = std::byte{200};  // the category
    CHECK(caught<RemoteError>(decode_exception(damaged, worker, "")).type_name() ==
          "std::system_error");
  }
}

}  // namespace
}  // namespace siding_test::remote_exception_test
