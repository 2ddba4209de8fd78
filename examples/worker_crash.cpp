// SPDX-License-Identifier: MIT
// Shows: what becomes of calls that end their worker process, or nearly: each tells how, and the calls
//        after it go on. One that dies at its first attempt only is made again.
// Run:   build/examples/worker_crash
// Prints:
//   reads: SIGSEGV at address 0x0, in reads_null()
//     it had said: looking for the answer
//   asserts: SIGABRT, Assertion `answer == 42' failed.
//   exits: exit status 3
//   throws: std::invalid_argument, "no answer", thrown in throws
//   eats_memory: std::bad_alloc, and its worker lives
//   fails_once: 42, after 2 attempts
//   fails_always: SIGKILL, 3 workers died of it
//   21 doubled is 42
//   calls: 2 returned, 2 threw; workers: 8 made, 7 died, 3 times a call was made again

#undef NDEBUG  // for the assertion

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <sys/resource.h>

#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>  // sigabbrev_np
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

int reads_null() {
  std::fputs("looking for the answer\n", stderr);
  const int* volatile answer = nullptr;
  return *answer;
}
int asserts(int answer) {
  assert(answer == 42);
  return answer;
}
int exits() { std::exit(3); }
int throws() { throw std::invalid_argument("no answer"); }
std::vector<char> eats_memory() { return std::vector<char>(std::size_t{1} << 30); }
int kills_itself() { return std::raise(SIGKILL); }
// Counts in memory that outlives the worker.
int fails_once(const siding::SharedBuffer& attempts) {
  if (++attempts.as<int>()[0] == 1) std::raise(SIGKILL);
  return 42;
}
int doubled(int number) { return 2 * number; }

// What is known of the call that has failed.
void tell(const siding::WorkerCrashed& crash) {
  const siding::CrashDetails& how = crash.details();
  if (crash.signal() == 0) {
    return fmt::print("{}: exit status {}\n", crash.call(), crash.exit_status());
  }
  fmt::print("{}: SIG{}", crash.call(), ::sigabbrev_np(crash.signal()));
  if (how.fault_address.has_value()) fmt::print(" at address {:#x}", *how.fault_address);
  // A line for each frame: "function (file+0x1234)".
  const std::string frame = how.backtrace.substr(0, how.backtrace.find('\n'));
  if (crash.signal() == SIGSEGV) fmt::print(", in {}", frame.substr(0, frame.rfind(" (")));
  // "program: file:line: function: Assertion ..."
  if (!how.message.empty()) fmt::print(", {}", how.message.substr(how.message.find("Assertion")));
  if (how.attempt > 1) fmt::print(", {} workers died of it", how.earlier.size() + 1);
  fmt::print("\n");
  if (!how.message.empty()) return;  // which is what it has said
  if (!how.last_output.empty()) fmt::print("  it had said: {}", how.last_output);
}

int main() {
  siding::ProcessPoolOptions options;
  options.max_workers = 1;
  options.max_memory = std::size_t{256} << 20;
  options.resource_limits.push_back({RLIMIT_CORE, 0});
  options.output = siding::Output::relay;
  options.on_output = [](const siding::OutputLine&) {};  // this program shows what reports hold
  siding::ProcessPool pool(options);

  const auto try_call = [](auto future) {
    try {
      future.get();
    } catch (const siding::WorkerCrashed& crash) {
      tell(crash);
    }
  };
  try_call(pool.submit({.name = "reads"}, reads_null));
  try_call(pool.submit({.name = "asserts"}, asserts, 41));
  try_call(pool.submit({.name = "exits"}, exits));
  try {
    pool.submit({.name = "throws"}, throws).get();
  } catch (const std::invalid_argument& error) {  // arrives as itself; its worker goes on
    fmt::print("throws: std::invalid_argument, \"{}\", thrown in {}\n", error.what(),
               siding::remote_origin(std::current_exception())->call());
  }
  try {
    pool.submit(eats_memory).get();
  } catch (const std::bad_alloc&) {
    fmt::print("eats_memory: std::bad_alloc, and its worker lives\n");
  }
  const siding::SharedBuffer attempts(sizeof(int));
  const int answer = pool.submit({.retries = 2}, fails_once, attempts).get();
  fmt::print("fails_once: {}, after {} attempts\n", answer, attempts.as<int>()[0]);
  try_call(pool.submit({.name = "fails_always", .retries = 2}, kills_itself));
  fmt::print("21 doubled is {}\n", pool.submit(doubled, 21).get());

  const siding::ProcessPoolStatistics now = pool.statistics();
  fmt::print("calls: {} returned, {} threw; workers: {} made, {} died, {} times a call was made again\n",
             now.completed, now.failed, now.started, now.crashed, now.retried);
}
