// SPDX-License-Identifier: MIT
// A user's program that has no process hook, or a plugin of a program that has none. What it says is
// that a pool of processes cannot be had, and that a pool of threads can.
#include <siding/siding.hpp>

#include <cstdio>

extern "C" int try_pools() {
  siding::ThreadPool threads{{.max_workers = 1}};
  std::printf("threads: %d\n", threads.submit([](int n) { return n; }, 7).get());
  try {
    siding::ProcessPool processes;
    std::printf("processes: there is a pool\n");
    return 1;
  } catch (const siding::ProcessPoolUnavailable& error) {
    std::printf("processes: %s\n", error.what());
  }
  return 0;
}

// In a program with the hook: there is a pool, but its workers do not have this plugin.
extern "C" int try_late_call() {
  siding::ProcessPool processes{{.max_workers = 1}};
  try {
    processes.submit([](int n) { return n; }, 7).get();
    return 1;
  } catch (const siding::NotPortable& error) {
    std::printf("late: %s\n", error.what());
  }
  return 0;
}

#ifdef WITH_MAIN
int main() { return try_pools(); }
#endif
