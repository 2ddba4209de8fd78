// SPDX-License-Identifier: MIT
#pragma once

// What the blocks_* programs share. They differ in the executor they make and in their
// log_prefix().

#include <siding/siding.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

/// The first column of a log line: who writes it. Each program defines its own. A function that is
/// linked in, and not a variable that main() sets, because a worker process has no main().
std::string log_prefix();

inline void log(std::string_view name, std::string_view message) {
  fmt::print(stderr, "{} {:>18}: {}\n", log_prefix(), name, message);
}

/// An ordinary function that blocks.
inline int blocks(int n) {
  const std::string name = fmt::format("blocks({})", n);
  log(name, "running");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  log(name, "done");
  return n * n;
}

inline siding::Task<std::vector<int>> run_blocking_tasks(siding::Executor& executor) {
  constexpr std::string_view name = "run_blocking_tasks";
  log(name, "starting");

  log(name, "creating executor tasks");
  std::vector<siding::Future<int>> blocking_tasks;
  for (int i = 0; i < 6; ++i) {
    blocking_tasks.push_back(siding::run_in_executor(executor, blocks, i));
  }

  log(name, "waiting for executor tasks");
  auto outcome = co_await siding::wait(blocking_tasks);
  std::vector<int> results;
  for (auto& task : outcome.done)
    results.push_back(task.result());
  log(name, fmt::format("results: {}", results));

  log(name, "exiting");
  co_return results;
}
