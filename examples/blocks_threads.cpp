// SPDX-License-Identifier: MIT
// Shows: a coroutine hands six blocking calls to a pool of three threads and waits for all of them.
//        It is the twin of the thread program in the chapter "Combining Coroutines with Threads and
//        Processes" of Python Module of the Week, line by line in its log.
// Run:   build/examples/blocks_threads
// Prints, to standard error, which thread says what; the order within a wave varies:
//   MainThread run_blocking_tasks: starting
//   MainThread run_blocking_tasks: creating executor tasks
//   ThreadPoolExecutor-0_0          blocks(0): running
//   ThreadPoolExecutor-0_1          blocks(1): running
//   MainThread run_blocking_tasks: waiting for executor tasks
//   ThreadPoolExecutor-0_2          blocks(2): running
//   ThreadPoolExecutor-0_0          blocks(0): done
//   ThreadPoolExecutor-0_0          blocks(3): running
//   ...
//   MainThread run_blocking_tasks: results: [0, 1, 4, 9, 16, 25]
//   MainThread run_blocking_tasks: exiting

#include "blocks.hpp"

#include <exception>

const std::string_view log_format = "{thread_name:>10} {name:>18}: {message}\n";

int main() {
  try {
    // The prefix is the name that Python gives to its first pool.
    siding::ThreadPool executor{{.max_workers = 3, .thread_name_prefix = "ThreadPoolExecutor-0"}};
    siding::run(run_blocking_tasks(executor));
  } catch (const std::exception& error) {
    fmt::print(stderr, "blocks_threads: {}\n", error.what());
    return 1;
  }
}
