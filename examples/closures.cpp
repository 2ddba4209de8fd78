// SPDX-License-Identifier: MIT
// Shows: how to await a call that brings values of its own along, so that g++ before 12.3 compiles
//        it well too. docs/how_to/live_with_gcc_12.md tells why.
// Run:   build/examples/closures
// Prints:
//   an argument: 5 letters
//   a closure with a name, copied: 5 letters
//   a closure with a name, moved in: 5 letters
//   a call with a name: 5 letters
//   a stored future: 5 letters
//   a result with a name: long enough

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>

std::size_t count_letters(const std::string& text) { return text.size(); }

void print(std::string_view how, std::size_t letters) {
  fmt::print("{}: {} letters\n", how, letters);
}

siding::Task<> call_in_every_way(std::string text) {
  // Not co_await siding::to_thread([text] { return text.size(); }): the closure would be a
  // temporary with a destructor in the same expression as co_await, and siding refuses that on such
  // compilers.

  const std::size_t a = co_await siding::to_thread(count_letters, text);
  print("an argument", a);

  const auto count = [text] { return text.size(); };
  const std::size_t b = co_await siding::to_thread(count);
  print("a closure with a name, copied", b);

  auto count_mine = [mine = text] { return mine.size(); };
  const std::size_t c = co_await siding::to_thread(siding::take(count_mine));
  print("a closure with a name, moved in", c);

  auto call = siding::to_thread([text] { return text.size(); });
  const std::size_t d = co_await call;
  print("a call with a name", d);

  auto future = siding::run_in_executor(nullptr, [text] { return text.size(); });
  const std::size_t e = co_await future;
  print("a stored future", e);

  // Nor a co_await in a condition: first a name, then the test.
  const std::size_t letters = co_await siding::to_thread(count_letters, text);
  if (letters > 4) fmt::print("a result with a name: long enough\n");
}

int main() {
  try {
    siding::run(call_in_every_way("tempo"));
  } catch (const std::exception& error) {
    fmt::print(stderr, "closures: {}\n", error.what());
    return 1;
  }
}
