// SPDX-License-Identifier: MIT
// An aggregate is as much in danger as a closure.
// expect: would destroy a temporary in this co_await expression twice
#define SIDING_GUARD_TEMPORARIES 1  // with any compiler
#include <siding/take.hpp>
#include <siding/task.hpp>
#include <siding/to_thread.hpp>

#include <vector>

struct Image {
  std::vector<int> pixels;
};
int width(const Image& image);

siding::Task<int> width_in_thread() {
#ifdef SIDING_GOOD
  Image image{{1, 2, 3}};
  const int copied = co_await siding::to_thread(width, image);
  co_return copied + co_await siding::to_thread(width, siding::take(image));
#else
  co_return co_await siding::to_thread(width, Image{std::vector<int>(3)});
#endif
}
