// SPDX-License-Identifier: MIT
// Shows: the same coroutine as in blocks_threads, on a pool of three processes: only the executor
//        and the format of the log are others. It is the twin of the process program in the chapter
//        "Combining Coroutines with Threads and Processes" of Python Module of the Week.
// Run:   build/examples/blocks_processes
// Prints, to standard error, which process says what; pids and the order within a wave vary:
//   PID 40498 run_blocking_tasks: starting
//   PID 40498 run_blocking_tasks: creating executor tasks
//   PID 40498 run_blocking_tasks: waiting for executor tasks
//   PID 40500          blocks(0): running
//   PID 40501          blocks(1): running
//   PID 40502          blocks(2): running
//   PID 40500          blocks(0): done
//   PID 40500          blocks(3): running
//   ...
//   PID 40498 run_blocking_tasks: results: [0, 1, 4, 9, 16, 25]
//   PID 40498 run_blocking_tasks: exiting

#include "blocks.hpp"

#include <exception>

const std::string_view log_format = "PID {process:>5} {name:>18}: {message}\n";

int main() {
  try {
    siding::ProcessPool executor{{.max_workers = 3}};
    siding::run(run_blocking_tasks(executor));
  } catch (const std::exception& error) {
    fmt::print(stderr, "blocks_processes: {}\n", error.what());
    return 1;
  }
}
