// SPDX-License-Identifier: MIT
#include "crash_page.hpp"
#include "crash_watch.hpp"
#include "symbols.hpp"

#include "support/child.hpp"
#include "support/seed.hpp"

#include <siding/detail/sanitizers.hpp>

#include <doctest/doctest.h>

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#undef NDEBUG  // asserts fail in release builds too
#include <cassert>

namespace siding_test::crash_page_test {
namespace {

using siding::detail::CrashPage;
using siding::detail::CrashReport;
using siding::detail::read_crash;
using siding::detail::symbol_at;
using siding::detail::watch_for_crashes;

// A sanitizer ends a process in its own way: only the reason of std::terminate is left.
constexpr bool sanitized = SIDING_SANITIZED != 0;
constexpr const char* own_handlers = "a sanitizer has crash handlers of its own";

class SharedPage {
 public:
  SharedPage()
      : memory_(::mmap(nullptr, sizeof(CrashPage), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
  }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  ~SharedPage() { ::munmap(memory_, sizeof(CrashPage)); }

  CrashPage& operator*() const noexcept { return *static_cast<CrashPage*>(memory_); }
  unsigned char* bytes() const noexcept { return static_cast<unsigned char*>(memory_); }

 private:
  void* memory_;
};

struct Ended {
  int status;
  std::optional<CrashReport> report;
};

// doctest has handlers too, and those that are there already stay.
void forget_handlers() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
    ::signal(signal, SIG_DFL);
  }
}

// What is left of a child that watches for crashes and does `body`.
template <class Body>
Ended crash(Body body) {
  const SharedPage page;
  const int status = status_in_child([&] {
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::close(STDERR_FILENO);  // messages of abort() and std::terminate
    forget_handlers();
    watch_for_crashes(*page);
    body();
    return 0;
  });
  return {status, read_crash(*page)};
}

bool is_in_backtrace(const CrashReport& report, const std::string& function) {
  for (const std::string& line : report.backtrace) {
    if (line.find(function) != std::string::npos) return true;
  }
  return false;
}

bool begins_in(const CrashReport& report, const std::string& function) {
  return !report.backtrace.empty() &&
         report.backtrace.front().find(function) != std::string::npos;
}

// Asked where nothing says so, so that the compiler can know neither the value nor the fault.
volatile std::uintptr_t unknown = 0;

[[gnu::noinline]] void writes_to(std::uintptr_t address) {
  *reinterpret_cast<volatile int*>(address) = 1;  // NOLINT(performance-no-int-to-ptr)
}

[[gnu::noinline]] void divides(int number) {
  unknown = static_cast<std::uintptr_t>(number / static_cast<int>(unknown));
}

[[gnu::noinline]] void executes_nothing() { __builtin_trap(); }

[[gnu::noinline]] void stops_at_a_breakpoint() {
  ::raise(SIGTRAP);
  unknown = 0;  // no tail call
}

[[gnu::noinline]] int recurses(int depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return depth == static_cast<int>(unknown) - 1 ? 0 : recurses(depth + 1) + room[0];
}

[[gnu::noinline]] void fails_an_assertion() { assert(unknown == 17 && "the answer"); }

[[gnu::noinline]] void frees_twice() {
  void* volatile piece = std::malloc(2000);
  void* volatile other = std::malloc(2000);
  std::free(piece);
  std::free(piece);
  std::free(other);
}

[[gnu::noinline]] void throws(const std::string& text) { throw std::runtime_error(text); }

[[gnu::noinline]] void lets_nothing_out(const std::string& text) noexcept { throws(text); }

[[gnu::noinline]] void calls_nothing() {
  reinterpret_cast<void (*)()>(unknown)();  // NOLINT(performance-no-int-to-ptr)
  unknown = 0;                              // no tail call
}

enum class Unwinder { works, hangs, faults };
Unwinder unwinder = Unwinder::works;

struct HeldTerminate {
  ~HeldTerminate() { std::set_terminate(before); }
  std::terminate_handler before = std::get_terminate();
};

TEST_SUITE("CrashPage") {
  TEST_CASE("a child that does not crash leaves nothing") {
    const Ended ended = crash([] {});
    CHECK(ended.status == 0);
    CHECK(!ended.report.has_value());
  }

  TEST_CASE("a write to no memory is told with its address and function" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { writes_to(unknown + 0x1238); });
    CHECK(ended.status == killed_by(SIGSEGV));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->signal == SIGSEGV);
    CHECK(ended.report->code == SEGV_MAPERR);
    CHECK(ended.report->address == 0x1238);
    CHECK(ended.report->text.empty());
    CHECK(begins_in(*ended.report, "writes_to(unsigned long) ("));
    CHECK(is_in_backtrace(*ended.report, "main ("));
    CHECK(!is_in_backtrace(*ended.report, "handle_crash"));
    CHECK(!is_in_backtrace(*ended.report, "restore_rt"));
  }

  TEST_CASE("a call of no function is told with its caller" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { calls_nothing(); });
    CHECK(ended.status == killed_by(SIGSEGV));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->address == 0);
    REQUIRE(ended.report->backtrace.size() == 2);
    CHECK(ended.report->backtrace[0] == "0x0");
    CHECK(ended.report->backtrace[1].find("calls_nothing() (") != std::string::npos);
  }

  TEST_CASE("the other faults are told with their function" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended divided = crash([] { divides(static_cast<int>(unknown) + 7); });
    const Ended trapped = crash([] { executes_nothing(); });
    const Ended sent = crash([] { ::raise(SIGBUS); });
    const Ended stopped = crash([] { stops_at_a_breakpoint(); });
    const Ended refused = crash([] { ::raise(SIGSYS); });

#if defined(__x86_64__)  // others divide by zero without a fault
    CHECK(divided.status == killed_by(SIGFPE));
    REQUIRE(divided.report.has_value());
    CHECK(divided.report->code == FPE_INTDIV);
    CHECK(begins_in(*divided.report, "divides(int) ("));
    CHECK(divided.report->address.has_value());

    CHECK(trapped.status == killed_by(SIGILL));
    REQUIRE(trapped.report.has_value());
    CHECK(trapped.report->signal == SIGILL);
    CHECK(begins_in(*trapped.report, "executes_nothing() ("));
#endif

    CHECK(sent.status == killed_by(SIGBUS));
    REQUIRE(sent.report.has_value());
    CHECK(sent.report->signal == SIGBUS);
    CHECK(sent.report->code == SI_TKILL);
    CHECK(!sent.report->address.has_value());  // a signal that somebody sends has none

    CHECK(stopped.status == killed_by(SIGTRAP));
    REQUIRE(stopped.report.has_value());
    CHECK(is_in_backtrace(*stopped.report, "stops_at_a_breakpoint() ("));

    CHECK(refused.status == killed_by(SIGSYS));
    REQUIRE(refused.report.has_value());
    CHECK(refused.report->signal == SIGSYS);
  }

  TEST_CASE("a stack that is used up is told" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { unknown = static_cast<std::uintptr_t>(recurses(1)); });
    CHECK(ended.status == killed_by(SIGSEGV));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->signal == SIGSEGV);
    CHECK(ended.report->address.has_value());
    CHECK(begins_in(*ended.report, "recurses(int) ("));
    CHECK(ended.report->backtrace.size() > 20);
  }

  TEST_CASE("a failed assertion is told with its text" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { fails_an_assertion(); });
    CHECK(ended.status == killed_by(SIGABRT));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->signal == SIGABRT);
    CHECK(ended.report->text.find("the answer") != std::string::npos);
    CHECK(ended.report->text.find("crash_page_test.cpp") != std::string::npos);
    CHECK(is_in_backtrace(*ended.report, "fails_an_assertion() ("));
  }

  TEST_CASE("a heap that was damaged is told with the text of the C library" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { frees_twice(); });
    CHECK(ended.status == killed_by(SIGABRT));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->text.find("double free") != std::string::npos);
    CHECK(is_in_backtrace(*ended.report, "frees_twice() ("));
  }

  TEST_CASE("an abort without a reason has no text" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { std::abort(); });
    CHECK(ended.status == killed_by(SIGABRT));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->signal == SIGABRT);
    CHECK(!ended.report->address.has_value());
    CHECK(ended.report->text.empty());
  }

  TEST_CASE("an exception that nobody catches is told with its type and text") {
    const Ended ended = crash([] { lets_nothing_out("nobody\ncatches this"); });
    CHECK(ended.status == killed_by(SIGABRT));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->text ==
          "terminate called after throwing std::runtime_error: nobody catches this");
    if (sanitized) {
      CHECK(ended.report->signal == 0);
      CHECK(ended.report->backtrace.empty());
    } else {
      CHECK(ended.report->signal == SIGABRT);
      CHECK(is_in_backtrace(*ended.report, "lets_nothing_out("));
    }
  }

  TEST_CASE("a long text is cut") {
    const Ended ended = crash([] { lets_nothing_out(std::string(10'000, 'x')); });
    CHECK(ended.status == killed_by(SIGABRT));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->text.size() == CrashPage::text_room);
  }

  TEST_CASE("std::terminate without an exception is told, and the handler before is still called") {
    const Ended plain = crash([] { std::terminate(); });
    CHECK(plain.status == killed_by(SIGABRT));
    REQUIRE(plain.report.has_value());
    CHECK(plain.report->text == "terminate called without an active exception");

    const HeldTerminate held;
    std::set_terminate([] { ::_exit(33); });
    const Ended ended = crash([] { std::terminate(); });
    CHECK(ended.status == 33);
    CHECK(ended.report.has_value());
  }

  TEST_CASE("a crash of another thread is told" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] { std::thread([] { writes_to(unknown + 8); }).join(); });
    CHECK(ended.status == killed_by(SIGSEGV));
    REQUIRE(ended.report.has_value());
    CHECK(ended.report->address == 8);
    CHECK(begins_in(*ended.report, "writes_to(unsigned long) ("));
  }

  TEST_CASE("of threads that crash at once one is told" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    for (int round = 0; round < 20; ++round) {
      const Ended ended = crash([] {
        std::atomic<int> there = 0;
        const auto body = [&there] {
          ++there;
          while (there < 2) {
          }
          writes_to(unknown + 16);
        };
        std::thread other(body);
        body();
        other.join();
      });
      CHECK(ended.status == killed_by(SIGSEGV));
      REQUIRE(ended.report.has_value());
      CHECK(ended.report->address == 16);
      CHECK(begins_in(*ended.report, "writes_to(unsigned long) ("));
    }
  }

  TEST_CASE("a process that the watched one forks does not write" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended ended = crash([] {
      const pid_t grandchild = ::fork();
      if (grandchild == 0) writes_to(unknown);
      int status = 0;
      ::waitpid(grandchild, &status, 0);
      ::_exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    });
    CHECK(ended.status == SIGSEGV);
    CHECK(!ended.report.has_value());
  }

  TEST_CASE("a handler that is there already stays" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const SharedPage page;
    const int status = status_in_child([&] {
      forget_handlers();
      ::signal(SIGFPE, [](int) { ::_exit(44); });
      watch_for_crashes(*page);
      ::raise(SIGFPE);
      return 0;
    });
    CHECK(status == 44);
    CHECK(!read_crash(*page).has_value());
  }

  TEST_CASE("an unwinder that hangs or faults costs the rest of the backtrace, and nothing else" *
            doctest::skip(sanitized) * doctest::description(own_handlers)) {
    const Ended hung = crash([] {
      unwinder = Unwinder::hangs;
      fails_an_assertion();
    });
    CHECK(hung.status == killed_by(SIGALRM));
    REQUIRE(hung.report.has_value());
    CHECK(hung.report->signal == SIGABRT);
    CHECK(hung.report->text.find("the answer") != std::string::npos);
    CHECK(hung.report->backtrace.size() == 1);

    const Ended faulted = crash([] {
      unwinder = Unwinder::faults;
      std::abort();
    });
    CHECK(faulted.status == killed_by(SIGSEGV));
    REQUIRE(faulted.report.has_value());
    CHECK(faulted.report->signal == SIGABRT);
    CHECK(faulted.report->backtrace.size() == 1);
  }

  TEST_CASE("whatever a mad worker writes there, it can be read") {
    const unsigned seed = random_seed();
    INFO("SIDING_TEST_SEED=" << seed);
    std::mt19937 random(seed);
    const SharedPage page;
    // Names of functions are looked up in files: fewer frames in most rounds.
    for (int round = 0; round < 4000; ++round) {
      for (std::size_t i = 0; i < sizeof(CrashPage); ++i) {
        page.bytes()[i] = static_cast<unsigned char>(random());
      }
      if (round % 2 == 0) (*page).signal.store(SIGSEGV);
      if (round % 8 != 0) (*page).frame_count.store(random() % 4);
      const std::optional<CrashReport> report = read_crash(*page);
      if (!report.has_value()) continue;
      CHECK(report->signal >= 0);
      CHECK(report->signal <= 64);
      CHECK(report->text.size() <= CrashPage::text_room);
      CHECK(report->backtrace.size() <= CrashPage::frame_room);
      for (const char letter : report->text) {
        if (static_cast<unsigned char>(letter) < 0x20) FAIL("a control character");
      }
    }
  }

  TEST_CASE("offsets that a mad worker chooses in a module of the program can be read") {
    const SharedPage crashed;
    const int status = status_in_child([&] {
      forget_handlers();
      watch_for_crashes(*crashed);
      if (!sanitized) writes_to(unknown);
      return 0;
    });
    if (sanitized) return;  // no handler has left a true module
    CHECK(status == killed_by(SIGSEGV));
    const std::uint64_t module = (*crashed).frames[0].module.load();
    const unsigned seed = random_seed();
    INFO("SIDING_TEST_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 300; ++round) {
      (*crashed).frame_count.store(2);
      for (std::size_t i = 0; i < 2; ++i) {
        (*crashed).frames[i].module.store(module);
        (*crashed).frames[i].offset.store(random() >> (random() % 64));
      }
      const std::optional<CrashReport> report = read_crash(*crashed);
      REQUIRE(report.has_value());
      CHECK(report->backtrace.size() == 2);
    }
  }
}

TEST_SUITE("symbol_at") {
  std::uint64_t offset_of(const void* address) {
    Dl_info info{};
    REQUIRE(::dladdr(address, &info) != 0);
    return reinterpret_cast<std::uintptr_t>(address) -
           reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  }

  TEST_CASE("a file that is none, or is not ELF, has no symbols") {
    CHECK(symbol_at("", 0).empty());
    CHECK(symbol_at("/nowhere/at/all", 16).empty());
    CHECK(symbol_at("/tmp", 16).empty());
    CHECK(symbol_at("/dev/zero", 16).empty());
    CHECK(symbol_at("/proc/self/status", 16).empty());
    char name[] = "/tmp/siding-fifo-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    const std::string fifo = std::string(name).append("/fifo");
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(symbol_at(fifo, 16).empty());  // and nobody hangs
    ::unlink(fifo.c_str());
    ::rmdir(name);
  }

  TEST_CASE("a file that exports its functions is read too, stripped or not") {
    Dl_info info{};
    const void* found = ::dlsym(RTLD_DEFAULT, "qsort");
    if (found == nullptr) return;  // a static program has no other objects
    REQUIRE(::dladdr(found, &info) != 0);
    CHECK(symbol_at(info.dli_fname, offset_of(found) + 1).find("qsort") != std::string::npos);
  }

  TEST_CASE("a damaged file gives a wrong name or none") {
    // The beginning of a library, and its tables.
    Dl_info info{};
    const void* found = ::dlsym(RTLD_DEFAULT, "dladdr");
    if (found == nullptr || ::dladdr(found, &info) == 0) return;
    std::ifstream in(info.dli_fname, std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    REQUIRE(whole.size() > 1000);
    char name[] = "/tmp/siding-elf-XXXXXX";
    const int descriptor = ::mkstemp(name);
    REQUIRE(descriptor >= 0);
    const unsigned seed = random_seed();
    INFO("SIDING_TEST_SEED=" << seed);
    std::mt19937 random(seed);
    const std::size_t size = std::min<std::size_t>(whole.size(), 200'000);
    for (int round = 0; round < 300; ++round) {
      std::string damaged = whole.substr(0, round % 3 == 0 ? random() % size : whole.size());
      // The header, or the last part, where the sections are described.
      for (int i = 0; i < 8 && !damaged.empty(); ++i) {
        const std::size_t range = std::min<std::size_t>(damaged.size(), i < 3 ? 64 : 2048);
        const std::size_t place = i < 3 ? random() % range : damaged.size() - 1 - random() % range;
        if (i < 3 && place < 8) continue;  // still ELF
        damaged[place] = static_cast<char>(random());
      }
      REQUIRE(::ftruncate(descriptor, 0) == 0);
      REQUIRE(::pwrite(descriptor, damaged.data(), damaged.size(), 0) ==
              static_cast<ssize_t>(damaged.size()));
      CHECK(symbol_at(name, random() % whole.size()).size() <= 4096);
    }
    ::close(descriptor);
    ::unlink(name);
  }
}

}  // namespace

#if !SIDING_SANITIZED
// In place of the C library's, for the whole program.
extern "C" int backtrace(void** frames, int room) noexcept {
  while (unwinder == Unwinder::hangs) ::pause();
  if (unwinder == Unwinder::faults) writes_to(unknown + 24);
  static const auto real = reinterpret_cast<int (*)(void**, int)>(::dlsym(RTLD_NEXT, "backtrace"));
  return real(frames, room);
}
#endif

}  // namespace siding_test::crash_page_test
