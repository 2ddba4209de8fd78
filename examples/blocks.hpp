// SPDX-License-Identifier: MIT
#pragma once

// What the blocks_* programs share. They differ in the executor that they make and in their
// log_format.

#include <siding/siding.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

/// How a line of the log looks. Each program defines its own: as a constant, and not as a variable
/// that main() sets, because a worker process never runs main().
extern const std::string_view log_format;

inline void log(std::string_view name, std::string_view message) {
  const std::string_view worker = siding::ThreadPool::current_worker_name();
  fmt::print(stderr, fmt::runtime(log_format),
             fmt::arg("thread_name", worker.empty() ? "MainThread" : worker),
             fmt::arg("process", ::getpid()), fmt::arg("name", name),
             fmt::arg("message", message));
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
