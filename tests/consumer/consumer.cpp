// SPDX-License-Identifier: MIT
// A user's program: built against the installed library, and against siding as a subproject.
#include <siding/siding.hpp>

#include <unistd.h>

#include <cstdio>

namespace {

int square(int n) { return n * n; }
int own_pid() { return ::getpid(); }

siding::Task<int> run_one() {
  siding::ThreadPool pool{{.max_workers = 1}};
  int result = co_await siding::offload(pool, square, 6);
  result += co_await siding::to_thread(square, 2);
  siding::ProcessPool processes{{.max_workers = 1}};
  result += co_await siding::offload(processes, square, 1);
  const int pid = co_await siding::offload(processes, own_pid);
  co_return pid == ::getpid() ? 0 : result;
}

}  // namespace

int main() {
  const int result = siding::run(run_one());
  std::printf("%s %d\n", siding::version(), result);
  return result == 41 ? 0 : 1;
}
