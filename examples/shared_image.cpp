// SPDX-License-Identifier: MIT
// Shows: how several processes work on one picture that none of them copies: each reads the whole of
//        it and writes its own band of the result.
// Run:   build/examples/shared_image
// Prints:
//   a picture of 1024 x 768, 4 bands on 2 processes
//   every pixel is as it would be without processes
//   the darkest is 16, the brightest 239
//   a write to the source in a worker ended that worker

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <vector>

using Pixel = std::uint8_t;

constexpr int width = 1024;
constexpr int height = 768;
constexpr int bands = 4;

// Rings, brighter and darker by turns.
siding::SharedBuffer make_picture() {
  siding::SharedBuffer picture(std::size_t{width} * height * sizeof(Pixel));
  const std::span<Pixel> pixels = picture.as<Pixel>();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int dx = x - width / 2;
      const int dy = y - height / 2;
      pixels[static_cast<std::size_t>(y * width + x)] = (dx * dx + dy * dy) / 4096 % 2 == 0 ? 239 : 16;
    }
  }
  return picture;
}

// A band of a picture. It crosses to another process without a line of help.
struct Band {
  siding::ReadOnlySharedBuffer source;
  siding::SharedBuffer target;
  int first = 0;  // line
  int last = 0;   // and the one behind it
};

// Each pixel becomes the mean of itself and its neighbours. Runs in a worker, on the same memory.
void blur(Band band) {
  const std::span<const Pixel> source = band.source.as<Pixel>();
  const std::span<Pixel> target = band.target.as<Pixel>();
  for (int y = band.first; y < band.last; ++y) {
    for (int x = 0; x < width; ++x) {
      int sum = 0;
      int count = 0;
      for (int v = std::max(0, y - 1); v <= std::min(height - 1, y + 1); ++v) {
        for (int u = std::max(0, x - 1); u <= std::min(width - 1, x + 1); ++u) {
          sum += source[static_cast<std::size_t>(v * width + u)];
          ++count;
        }
      }
      target[static_cast<std::size_t>(y * width + x)] = static_cast<Pixel>(sum / count);
    }
  }
}

// What must not be done: the memory is mapped for reading only.
void scribble(siding::ReadOnlySharedBuffer picture) {
  const_cast<std::byte*>(picture.data())[0] = std::byte{1};
}

siding::Task<> blur_picture() {
  siding::ProcessPool pool{{.max_workers = 2}};
  const siding::SharedBuffer picture = make_picture();
  const siding::SharedBuffer blurred(picture.size());
  fmt::print("a picture of {} x {}, {} bands on {} processes\n", width, height, bands,
             pool.max_workers());

  std::vector<siding::Future<void>> calls;
  for (int i = 0; i < bands; ++i) {
    const Band band{picture.read_only(), blurred, i * height / bands, (i + 1) * height / bands};
    calls.push_back(siding::run_in_executor(pool, blur, band));
  }
  for (const siding::Future<void>& call : calls) co_await call;

  const siding::SharedBuffer expected(picture.size());
  blur({picture.read_only(), expected, 0, height});
  const std::span<const Pixel> pixels = blurred.as<Pixel>();
  if (!std::ranges::equal(pixels, expected.as<Pixel>())) throw std::runtime_error("it is another picture");
  fmt::print("every pixel is as it would be without processes\n");
  const auto [darkest, brightest] = std::ranges::minmax(pixels);
  fmt::print("the darkest is {}, the brightest {}\n", darkest, brightest);

  bool crashed = false;
  try {
    co_await siding::offload(pool, scribble, picture.read_only());
  } catch (const siding::WorkerCrashed&) {
    crashed = true;
  }
  if (crashed) fmt::print("a write to the source in a worker ended that worker\n");
}

int main() {
  try {
    siding::run(blur_picture());
  } catch (const std::exception& error) {
    fmt::print(stderr, "shared_image: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
