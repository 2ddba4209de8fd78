// SPDX-License-Identifier: MIT
#include <siding/detail/recycler.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "support/heap_bytes.hpp"
#include "support/seed.hpp"

namespace siding_test::recycler_test {
namespace {

using siding::detail::Recycled;
using siding::detail::recycled_delete;
using siding::detail::recycled_new;
using siding::detail::recycler;
using siding::detail::Recycler;

constexpr std::size_t largest = Recycler::step * Recycler::classes;
constexpr std::size_t per_class(std::size_t size) { return Recycler::kept_per_class / size; }

// Without the lists of other cases.
template <class Body>
void on_a_fresh_thread(Body body) {
  std::thread(body).join();
}

TEST_SUITE("Recycler") {
  TEST_CASE("a block of any size is writable, aligned, and apart from others") {
    const unsigned seed = siding_test::random_seed();
    CAPTURE(seed);
    on_a_fresh_thread([seed] {
      std::mt19937 random(seed);
      struct Block {
        unsigned char* memory;
        std::size_t size;
        unsigned char mark;
      };
      std::vector<Block> blocks;
      bool intact = true;
      auto give_back = [&](std::size_t index) {
        const Block block = blocks[index];
        for (std::size_t i = 0; i < block.size; ++i) {
          intact = intact && block.memory[i] == block.mark;
        }
        recycled_delete(block.memory, block.size);
        blocks[index] = blocks.back();
        blocks.pop_back();
      };

      for (int step = 0; step < 20'000; ++step) {
        if (blocks.size() < 100 || random() % 2 == 0) {
          const std::size_t size = 1 + random() % (largest + 200);
          auto* memory = static_cast<unsigned char*>(recycled_new(size));
          intact = intact &&
                   reinterpret_cast<std::uintptr_t>(memory) % __STDCPP_DEFAULT_NEW_ALIGNMENT__ == 0;
          const auto mark = static_cast<unsigned char>(random());
          std::memset(memory, mark, size);
          blocks.push_back({memory, size, mark});
        } else {
          give_back(random() % blocks.size());
        }
      }
      while (!blocks.empty())
        give_back(0);

      CHECK(intact);
    });
  }

  TEST_CASE("a thread that ends gives its blocks back") {
    const std::size_t before = siding_test::heap_bytes();
    for (int round = 0; round < 10; ++round) {
      on_a_fresh_thread([] {
        for (std::size_t size = 1; size <= largest; size += Recycler::step) {
          std::vector<void*> blocks(200);
          for (void*& block : blocks)
            block = recycled_new(size);
          for (void* block : blocks)
            recycled_delete(block, size);
        }
      });
    }

    CHECK(siding_test::heap_bytes() < before + 200'000);
  }

  TEST_CASE("a block that is freed after its thread's lists are gone goes back to malloc") {
    struct Late {
      void* block = nullptr;
      ~Late() {
        recycled_delete(block, 100);
        void* another = recycled_new(100);
        recycled_delete(another, 100);
      }
    };
    const std::size_t before = siding_test::heap_bytes();
    for (int round = 0; round < 1000; ++round) {
      on_a_fresh_thread([] {
        thread_local Late late;  // made before the lists are first used, so destroyed after them
        late.block = recycled_new(100);
        recycled_delete(recycled_new(100), 100);
      });
    }

    CHECK(siding_test::heap_bytes() < before + 50'000);
  }

  TEST_CASE("an over-aligned type is aligned") {
    struct alignas(128) Wide : Recycled {
      char bytes[128];
    };
    auto* wide = new Wide;
    CHECK(reinterpret_cast<std::uintptr_t>(wide) % 128 == 0);
    delete wide;
  }

#if !SIDING_SANITIZED
  TEST_CASE("a freed block is used again for the same class of sizes, and for no other") {
    on_a_fresh_thread([] {
      void* block = recycled_new(65);
      recycled_delete(block, 65);

      void* smaller = recycled_new(64);
      void* larger = recycled_new(65 + Recycler::step);
      void* same = recycled_new(64 + Recycler::step);

      CHECK(smaller != block);
      CHECK(larger != block);
      CHECK(same == block);
      recycled_delete(smaller, 64);
      recycled_delete(larger, 65 + Recycler::step);
      recycled_delete(same, 64 + Recycler::step);
    });
  }

  TEST_CASE("the block freed last is used first") {
    on_a_fresh_thread([] {
      std::vector<void*> blocks(5);
      for (void*& block : blocks)
        block = recycled_new(200);
      for (void* block : blocks)
        recycled_delete(block, 200);

      for (std::size_t i = blocks.size(); i-- > 0;)
        CHECK(recycled_new(200) == blocks[i]);
      for (void* block : blocks)
        recycled_delete(block, 200);
    });
  }

  TEST_CASE("a block that is freed on another thread stays there") {
    on_a_fresh_thread([] {
      void* block = recycled_new(300);
      std::thread([block] {
        recycled_delete(block, 300);
        void* again = recycled_new(300);
        CHECK(again == block);
        recycled_delete(again, 300);
      }).join();
    });
  }

  TEST_CASE("a thread keeps no more than its share of a class; the rest goes back to malloc") {
    on_a_fresh_thread([] {
      constexpr std::size_t size = 1024;
      static_assert(size <= largest);
      const std::size_t before = siding_test::heap_bytes();
      std::vector<void*> blocks(4 * per_class(size));
      for (void*& block : blocks)
        block = recycled_new(size);
      for (void* block : blocks)
        recycled_delete(block, size);
      blocks = {};

      CHECK(recycler.room[(size - 1) / Recycler::step] == 0);
      CHECK(siding_test::heap_bytes() < before + Recycler::kept_per_class + 100'000);
      std::set<void*> kept;
      for (std::size_t i = 0; i < per_class(size); ++i)
        kept.insert(recycled_new(size));
      CHECK(recycler.blocks[(size - 1) / Recycler::step] == nullptr);
      CHECK(kept.size() == per_class(size));
      for (void* block : kept)
        recycled_delete(block, size);
    });
  }

  TEST_CASE("blocks above the largest class are not kept") {
    on_a_fresh_thread([] {
      const std::size_t before = siding_test::heap_bytes();
      std::vector<void*> blocks(100);
      for (void*& block : blocks)
        block = recycled_new(10 * largest);
      for (void* block : blocks)
        recycled_delete(block, 10 * largest);
      blocks = {};

      CHECK(siding_test::heap_bytes() < before + 10 * largest);
    });
  }
#endif
}

}  // namespace
}  // namespace siding_test::recycler_test
