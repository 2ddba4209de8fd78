// SPDX-License-Identifier: MIT
// Shows: how values and errors of your own types cross to worker processes and back.
// Run:   build/examples/own_types
// Prints:
//   an aggregate: 3 words, the longest is `processes`
//   a class with siding_fields: 7 apples of shelf 3
//   a class with siding::Wire: 10:30
//   a functor with a field: 42
//   an error of your own: line 3: a brace is missing
//   it was thrown in the call parse
//   refused where the pool is an Executor only: a closure with captures

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// An aggregate needs nothing, whatever it is made of, as long as each field crosses.
struct Statistics {
  std::vector<std::string> words;
  std::string longest;
};

Statistics count(std::string_view text) {
  Statistics result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    result.words.emplace_back(text.substr(begin, end - begin));
    if (result.words.back().size() > result.longest.size()) result.longest = result.words.back();
    begin = end + 1;
  }
  return result;
}

// A class with private fields names them, once for both directions, and has a default constructor.
class Stock {
 public:
  Stock() = default;
  Stock(int shelf, int apples) : shelf_(shelf), apples_(apples) {}
  int shelf() const { return shelf_; }
  int apples() const { return apples_; }

 private:
  template <class Archive>
  friend void siding_fields(Archive& archive, Stock& stock) {
    archive(stock.shelf_, stock.apples_);
  }

  int shelf_ = 0;
  int apples_ = 0;
};
static_assert(siding::Portable<Stock>);

Stock add(Stock stock, int apples) { return {stock.shelf(), stock.apples() + apples}; }

// A class that cannot be empty, or that has an invariant, is written and read by hand.
class TimeOfDay {
 public:
  TimeOfDay(int hour, int minute) : hour_(hour), minute_(minute) {
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) throw std::invalid_argument("no time");
  }
  int hour() const { return hour_; }
  int minute() const { return minute_; }

 private:
  int hour_;
  int minute_;
};

template <>
struct siding::Wire<TimeOfDay> {
  static void write(WireWriter& writer, const TimeOfDay& time) {
    writer.value(time.hour());
    writer.value(time.minute());
  }
  static TimeOfDay read(WireReader& reader) {
    const int hour = reader.value<int>();
    return {hour, reader.value<int>()};  // a damaged message ends in the constructor's error
  }
};

TimeOfDay later(TimeOfDay time, int minutes) {
  const int sum = time.hour() * 60 + time.minute() + minutes;
  return {sum / 60 % 24, sum % 60};
}

// In place of a closure with captures: what would be captured is a field.
struct Scale {
  int factor = 1;
  int operator()(int number) const { return factor * number; }
};

// Registered at namespace scope, an error arrives as itself, with its fields.
class ParseError : public std::runtime_error {
 public:
  ParseError() : runtime_error("") {}
  ParseError(int line, const std::string& text) : runtime_error(text), line_(line), text_(text) {}
  int line() const { return line_; }
  const std::string& text() const { return text_; }

 private:
  template <class Archive>
  friend void siding_fields(Archive& archive, ParseError& error) {
    archive(error.line_, error.text_);
  }

  int line_ = 0;
  std::string text_;
};
const siding::RegisterError<ParseError> parse_error_crosses{};

void parse(const std::string&) { throw ParseError(3, "a brace is missing"); }

siding::Task<> send_everything(siding::ProcessPool& pool) {
  const char* const text = "calls in processes";
  const Statistics statistics = co_await siding::offload(pool, count, text);
  fmt::print("an aggregate: {} words, the longest is `{}`\n", statistics.words.size(),
             statistics.longest);

  const Stock before(3, 5);
  const Stock stock = co_await siding::offload(pool, add, before, 2);
  fmt::print("a class with siding_fields: {} apples of shelf {}\n", stock.apples(), stock.shelf());

  const TimeOfDay now(9, 45);
  const TimeOfDay then = co_await siding::offload(pool, later, now, 45);
  fmt::print("a class with siding::Wire: {}:{}\n", then.hour(), then.minute());

  const Scale scale{6};
  const int scaled = co_await siding::offload(pool, scale, 7);
  fmt::print("a functor with a field: {}\n", scaled);

  try {
    const siding::CallOptions named{.name = "parse"};
    const std::string source = "{";
    co_await siding::offload(pool, named, parse, source);
  } catch (const ParseError& error) {
    fmt::print("an error of your own: line {}: {}\n", error.line(), error.text());
    const auto origin = siding::remote_origin(std::current_exception());
    if (origin.has_value()) fmt::print("it was thrown in the call {}\n", origin->call());
  }

  // On the pool itself this does not compile. On an Executor only the call can tell.
  siding::Executor& executor = pool;
  int factor = 6;
  const auto closure = [factor](int number) { return factor * number; };
  try {
    co_await siding::offload(executor, closure, 7);
  } catch (const siding::NotPortable&) {
    fmt::print("refused where the pool is an Executor only: a closure with captures\n");
  }
}

int main() {
  siding::ProcessPool pool{{.max_workers = 1}};
  try {
    siding::run(send_everything(pool));
  } catch (const std::exception& error) {
    fmt::print(stderr, "own_types: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
