// SPDX-License-Identifier: MIT
// Shows: a parser that believes its input, in workers that can do nothing but compute. Hostile inputs
//        crash it, or have it do what they want; the program says what became of each, and goes on.
// Run:   build/examples/sandboxed_parser
// Prints:
//   greeting: hello
//   empty: nothing
//   too long: crashed
//   reads a file: opening /etc/passwd: Operation not permitted
//   calls home: making a socket: Operation not permitted
//   greeting again: hello

#include <siding/siding.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace {

using Bytes = std::vector<unsigned char>;

// What an input that has taken over the parser would do. Here it has an opcode for it.
void open_file() {
  const int descriptor = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    throw std::system_error(errno, std::generic_category(), "opening /etc/passwd");
  }
  ::close(descriptor);
}
void call_home() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "making a socket");
  ::close(descriptor);
}

// A record is a kind, a length and that many bytes. The mistake: nobody asks whether so many bytes are
// there, nor whether they fit.
std::string parse(const Bytes& input) {
  if (input.size() < 3) return "nothing";
  const std::size_t length = input[1] | std::size_t{input[2]} << 8;
  switch (input[0]) {
    case 'f': open_file(); break;
    case 'n': call_home(); break;
    default: break;
  }
  char text[64];
  volatile const unsigned char* from = input.data() + 3;
  volatile char* to = text;
  for (std::size_t i = 0; i < length; ++i) to[i] = static_cast<char>(from[i]);
  return std::string(text, length);
}

struct Input {
  const char* name;
  Bytes bytes;
};

std::vector<Input> inputs() {
  const Bytes greeting{'t', 5, 0, 'h', 'e', 'l', 'l', 'o'};
  return {
      {"greeting", greeting},
      {"empty", {}},
      {"too long", {'t', 255, 255, 'x', 'x', 'x'}},
      {"reads a file", {'f', 0, 0}},
      {"calls home", {'n', 0, 0}},
      {"greeting again", greeting},
  };
}

siding::Task<void> parse_all() {
  siding::ProcessPoolOptions options;
  options.sandbox = siding::Sandbox{};
  siding::ProcessPool pool(options);
  for (const Input& input : inputs()) {
    std::string text;
    try {
      text = co_await siding::run_in_executor(pool, &parse, input.bytes);
    } catch (const siding::WorkerCrashed&) {
      text = "crashed";  // what() says how, and where
    } catch (const std::exception& error) {
      text = error.what();
    }
    std::printf("%s: %s\n", input.name, text.c_str());
  }
}

}  // namespace

int main() { siding::run(parse_all()); }
