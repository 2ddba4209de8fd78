// SPDX-License-Identifier: MIT
// Workers that scribble over the memory which they share with the program. What they can reach is
// theirs alone, and the program believes nothing that it has not checked.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "support/process_pool_subject.hpp"
#include "support/seed.hpp"
#include "worker_region.hpp"

namespace siding_test::process_pool_damage_test {
namespace {

using siding::detail::Payload;
using siding::detail::RegionLayout;
using siding::detail::Slot;
using siding::detail::SlotState;

using Pool = PoolSubject;

int own_pid() { return ::getpid(); }
int square(int n) { return n * n; }

// The memory of the worker that this runs in.
RegionLayout& own_region() {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find("memfd:siding-worker") == std::string::npos) continue;
    return *reinterpret_cast<RegionLayout*>(std::stoull(line, nullptr, 16));
  }
  ::_exit(99);
}

Slot& own_slot(RegionLayout& region) {
  for (Slot& slot : region.slots) {
    if (slot.state.load() == SlotState::running) return slot;
  }
  ::_exit(98);
}

// Announces a result that lies where there is none.
void announce(std::uint32_t where, std::uint64_t offset, std::uint64_t size) {
  RegionLayout& region = own_region();
  Slot& slot = own_slot(region);
  slot.reply = {.where = where, .reserved = 0, .offset = offset, .size = size};
  slot.state.store(SlotState::done);
  auto& channel = region.channels[slot.channel];
  const std::uint32_t tail = channel.tail.load();
  channel.entries[tail % channel.entries.size()].store(
      static_cast<std::uint32_t>(&slot - region.slots.data()));
  channel.tail.store(tail + 1);
}
int claim_a_result_and_stay(std::uint32_t where, std::uint64_t offset, std::uint64_t size) {
  announce(where, offset, size);
  for (;;) ::pause();
}
int claim_a_result_and_die(std::uint32_t where, std::uint64_t offset, std::uint64_t size) {
  announce(where, offset, size);
  ::_exit(3);
}

int claim_many_results() {
  RegionLayout& region = own_region();
  region.channels[0].tail.fetch_add(100'000);
  for (;;) ::pause();
}

int claim_to_have_read_what_was_not_sent() {
  own_region().header.submitted_head.fetch_add(1'000'000);
  return 1;
}

int invent_a_state_and_die() {
  own_slot(own_region()).state.store(static_cast<SlotState>(77));
  ::_exit(3);
}

int invent_a_state_and_stay() {
  own_slot(own_region()).state.store(static_cast<SlotState>(77));
  for (;;) ::pause();
}

int scribble_over_everything(unsigned seed) {
  RegionLayout& region = own_region();
  std::minstd_rand random(seed);
  std::vector<std::uint32_t> words(sizeof region / sizeof(std::uint32_t));
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random() << 1 ^ random());
  std::memcpy(static_cast<void*>(&region), words.data(), words.size() * sizeof(std::uint32_t));
  ::raise(SIGKILL);
  return 0;
}

// Has another worker ring, so that the program looks at all of them.
void ring(siding::ProcessPool& pool) { CHECK(value_of(pool.submit(square, 3)) == 9); }

}  // namespace

TEST_SUITE("ProcessPool and damaged memory") {
  // SE-010
  TEST_CASE("a result of absurd size or place fails its call, and its worker is ended") {
    const Pool pool(2);
    for (const std::uint64_t size : {std::uint64_t{1} << 62, std::uint64_t{161}, ~std::uint64_t{0}}) {
      for (const std::uint32_t where : {Payload::in_slot, Payload::in_arena, std::uint32_t{7}}) {
        if (where == Payload::in_arena && size == 161) continue;  // is there, and reads as too much
        const auto call = pool->submit(claim_a_result_and_stay, where, ~std::uint64_t{63}, size);
        while (!call.done()) ring(*pool);
        CHECK_THROWS_AS(value_of(call), siding::SerializationError);
      }
    }
  }

  // SE-010
  TEST_CASE("a result that is cut short fails its call") {
    const Pool pool(1);
    const auto call = pool->submit(claim_a_result_and_die, Payload::in_slot, std::uint64_t{0},
                                   std::uint64_t{2});
    CHECK_THROWS_AS(value_of(call), siding::SerializationError);
    CHECK(value_of(pool->submit(square, 6)) == 36);
  }

  TEST_CASE("a worker that claims more results than there can be is ended") {
    const Pool pool(2);
    const auto call = pool->submit(claim_many_results);
    while (!call.done()) ring(*pool);
    std::string text;
    try {
      value_of(call);
    } catch (const siding::WorkerCrashed& error) {
      text = error.what();
    }
    CHECK(text.find("scribbled over the memory") != std::string::npos);
  }

  TEST_CASE("a worker that claims to have read more than it was sent is replaced") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    CHECK(value_of(pool->submit(claim_to_have_read_what_was_not_sent)) == 1);
    CHECK(value_of(pool->submit(own_pid)) != pid);
  }

  TEST_CASE("a call whose state is nonsense has failed when its worker dies") {
    const Pool pool(1);
    CHECK_THROWS_AS(value_of(pool->submit(invent_a_state_and_die)), siding::WorkerCrashed);
    CHECK(value_of(pool->submit(square, 4)) == 16);
  }

  TEST_CASE("a call whose state is nonsense can be cancelled") {
    const Pool pool(1);
    siding::run([&]() -> siding::Task<> {
      bool late = false;
      try {
        co_await siding::wait_for(siding::offload(*pool, invent_a_state_and_stay),
                                  std::chrono::milliseconds(50));
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
      const int value = co_await siding::offload(*pool, square, 5);
      CHECK(value == 25);
    });
  }

  TEST_CASE("whatever a worker leaves in its memory when it dies, the program and its pool go on") {
    const unsigned seed = random_seed();
    INFO("SIDING_TEST_SEED=", seed);
    const Pool pool(2);
    for (unsigned round = 0; round < 50; ++round) {
      const auto call = pool->submit(scribble_over_everything, seed + round);
      int failed = 0;
      try {
        value_of(call);
      } catch (const std::exception&) {
        ++failed;
      }
      CHECK(failed == 1);
      CHECK(value_of(pool->submit(square, static_cast<int>(round))) ==
            static_cast<int>(round * round));
    }
  }
}

}  // namespace siding_test::process_pool_damage_test
