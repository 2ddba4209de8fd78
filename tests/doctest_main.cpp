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

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace siding_test {
namespace {

// The end of the names of the files whose cases are asked for, from `--source-file=*END`; empty if
// all are.
std::string asked_for;

// doctest counts as skipped what a filter left out: of a program with many files, nearly all.
int skip_themselves = 0;
bool nothing_ran = false;

// Written by doctest's thread, read by a signal handler on any thread. The text is a literal.
const char* volatile current_case = nullptr;

struct CaseTracker : doctest::IReporter {
  explicit CaseTracker(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    nothing_ran = stats.numTestCasesPassingFilters == 0 && skip_themselves == 0;
    std::printf("[siding] skipped by their own condition: %d\n", skip_themselves);
  }
  void test_case_start(const doctest::TestCaseData& test) override { current_case = test.m_name; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override { current_case = nullptr; }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData& test) override {
    if (test.m_skip && std::string_view(test.m_file.c_str()).ends_with(asked_for)) {
      ++skip_themselves;
      const char* why = test.m_description != nullptr ? test.m_description : "no reason is given";
      std::printf("skipped: %s (%s)\n", test.m_name, why);
    }
  }
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
  for (const std::string_view argument : std::span(argv, static_cast<std::size_t>(argc))) {
    constexpr std::string_view option = "--source-file=*";
    if (argument.starts_with(option)) asked_for = argument.substr(option.size());
  }
  doctest::Context context(argc, argv);
  const int status = context.run();
  // To doctest a filter that nothing passes is a success.
  if (nothing_ran) std::printf("no test case ran: nothing passes the filters\n");
  return status != 0 || !nothing_ran ? status : 1;
}

}  // namespace siding_test

REGISTER_LISTENER("siding_case_tracker", 1, siding_test::CaseTracker);
