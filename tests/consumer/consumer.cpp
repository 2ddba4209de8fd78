// SPDX-License-Identifier: MIT
// A user's program: built against the installed library, and against siding as a subproject.
#include <siding/siding.hpp>

#include <cstdio>

namespace {

int square(int n) { return n * n; }

siding::Task<int> run_one() {
  siding::ThreadPool pool{{.max_workers = 1}};
  int result = co_await siding::offload(pool, square, 6);
  result += co_await siding::to_thread(square, 2);
  co_return result;
}

}  // namespace

int main() {
  const int result = siding::run(run_one());
  std::printf("%s %d\n", siding::version(), result);
  return result == 40 ? 0 : 1;
}
