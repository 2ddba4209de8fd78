// SPDX-License-Identifier: MIT
// What the main functions of all test programs share: doctest itself, compiled once.
//
// doctest's own signal handlers are left out: they take SIGINT, which tests of `run()` need, and
// hide the report of a sanitizer. In their place a crash or a time limit (Meson ends a program
// that takes too long with SIGTERM) prints which case was running, then takes its usual course.

#include "doctest_main.hpp"

#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace siding_test {
namespace {

// Written by doctest's thread, read by a signal handler on any thread. The text is a literal.
const char* volatile current_case = nullptr;

struct CaseTracker : doctest::IReporter {
  explicit CaseTracker(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData& test) override { current_case = test.m_name; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override { current_case = nullptr; }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

void print_current_case(int signal_number) {
  const char* name = current_case;
  if (name == nullptr) name = "none";
  auto put = [](const char* text) {
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, text, std::strlen(text));
  };
  put("\nended by a signal; the test case that was running: ");
  put(name);
  put("\n");
  // SA_RESETHAND has put the default action back: the signal now takes its usual course.
  ::raise(signal_number);
}

}  // namespace

int run_doctest(int argc, char** argv) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr int ending[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM};
#else
  constexpr int ending[] = {SIGTERM};  // the sanitizers report the others better
#endif
  // A stack of its own, so that an overflow of the main thread's stack is reported too.
  static char stack[16384];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = print_current_case;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_ONSTACK);
  for (int signal_number : ending) {
    ::sigaction(signal_number, &action, nullptr);
  }

  // What a program printed before it crashed must not be lost in a buffer.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  doctest::Context context(argc, argv);
  return context.run();
}

}  // namespace siding_test

REGISTER_LISTENER("siding_case_tracker", 1, siding_test::CaseTracker);
