// SPDX-License-Identifier: MIT
// The wake protocol (tests/model/inbox.pml) with real threads, a real eventfd and a real ring.
#include <siding/detail/inbox.hpp>

#include <siding/detail/sanitizers.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "ring.hpp"
#include "support/event_count.hpp"
#include "support/leak_guard.hpp"
#include "support/seed.hpp"

namespace siding_test::inbox_stress_test {
namespace {

using namespace std::chrono_literals;
using siding::detail::Inbox;
using siding::detail::Node;
using siding::detail::Ring;

constexpr int scale = SIDING_SANITIZED ? 1 : 5;

struct Letter final : Node {
  void run() noexcept override {}
  void refuse() noexcept override {}

  int producer = 0;
  int number = 0;
  // Written by the consumer (release) when it is done with the letter, read by its producer
  // (acquire) before it pushes it again.
  std::atomic<bool> read{true};
};

/// The random numbers of one side: other ones for each `side`.
std::mt19937 generator(unsigned seed, int side) {
  return std::mt19937(seed + static_cast<unsigned>(side));
}

/// Some of the time nothing, some of the time long enough for the other side to sleep.
void dawdle(std::mt19937& random) {
  switch (random() % 64) {
    case 0:
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
      break;
    case 1:
      std::this_thread::yield();
      break;
    default:
      break;
  }
}

/// The consumer: what a loop does with its inbox and its ring, and what it has seen.
class Consumer {
 public:
  Consumer(Inbox& inbox, int producers)
      : inbox_(inbox), ring_(inbox.event_fd()), next_(static_cast<std::size_t>(producers), 0) {
    ring_.enable();
  }

  /// One iteration; sleeps if nothing is there, in some of the cases with a timer.
  void iterate(std::mt19937& random) {
    if (read_all(inbox_.take())) return;
    if (!inbox_.fall_asleep()) return;
    ++sleeps_;
    std::optional<std::chrono::steady_clock::time_point> deadline;
    if (random() % 4 == 0) {
      deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 100);
    }
    ring_.wait(deadline);
  }

  bool read_all(Node* chain) {
    const bool any = chain != nullptr;
    while (chain != nullptr) {
      auto& letter = static_cast<Letter&>(*chain);
      chain = chain->next;  // the letter is its producer's again when it has been read
      in_order_ = in_order_ && letter.number == next_[static_cast<std::size_t>(letter.producer)];
      next_[static_cast<std::size_t>(letter.producer)] = letter.number + 1;
      ++total_;
      letter.read.store(true, std::memory_order_release);
    }
    return any;
  }

  std::uint64_t sleeps() const { return sleeps_; }
  int total() const { return total_; }
  bool in_order() const { return in_order_; }
  void close_ring() { ring_.close(); }

 private:
  Inbox& inbox_;
  Ring ring_;
  std::vector<int> next_;
  std::uint64_t sleeps_ = 0;
  int total_ = 0;
  bool in_order_ = true;
};

TEST_SUITE("Inbox stress") {
  TEST_CASE("each node arrives once, in its producer's order, with one write per ended sleep") {
    const unsigned seed = siding_test::random_seed();
    CAPTURE(seed);
    for (const int producers : {3, 8}) {
      const siding_test::LeakGuard guard;
      CAPTURE(producers);
      const int letters = 10'000 * scale;
      Inbox inbox;
      Consumer consumer(inbox, producers);
      std::atomic<bool> refused = false;
      std::vector<std::thread> threads;
      for (int producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
          std::mt19937 random = generator(seed, producer);
          // Few letters, so that each is pushed again and again: the same address comes back while
          // others hold it in their hands.
          std::deque<Letter> own(8);
          for (int number = 0; number < letters; ++number) {
            Letter& letter = own[random() % own.size()];
            while (!letter.read.load(std::memory_order_acquire))
              std::this_thread::yield();
            letter.read.store(false, std::memory_order_relaxed);
            letter.producer = producer;
            letter.number = number;
            if (!inbox.push(letter)) refused = true;
            dawdle(random);
          }
          for (Letter& letter : own) {
            while (!letter.read.load(std::memory_order_acquire))
              std::this_thread::yield();
          }
        });
      }

      std::mt19937 random = generator(seed, -1);
      while (consumer.total() < producers * letters)
        consumer.iterate(random);
      for (std::thread& thread : threads)
        thread.join();

      CHECK_FALSE(refused);
      CHECK(consumer.total() == producers * letters);
      CHECK(consumer.in_order());
      CHECK(inbox.take() == nullptr);
      CHECK(siding_test::event_count(inbox.event_fd()) == inbox.wakes());
      CHECK(inbox.wakes() <= consumer.sleeps());
      CHECK(inbox.wakes() > 0);
      consumer.close_ring();
      CHECK(inbox.close() == nullptr);
    }
  }

  TEST_CASE("a node that is pushed while the inbox is closed is delivered or refused, never both") {
    const unsigned seed = siding_test::random_seed();
    CAPTURE(seed);
    const siding_test::LeakGuard guard;
    constexpr int producers = 3;
    constexpr int letters = 300;
    const int rounds = 100 * scale;
    std::uint64_t refused_in_all = 0;
    std::uint64_t delivered_in_all = 0;
    for (int round = 0; round < rounds; ++round) {
      Inbox inbox;
      Consumer consumer(inbox, producers);
      std::atomic<int> refused = 0;
      std::atomic<int> pushed = 0;
      std::atomic<bool> reopened = false;
      std::vector<std::deque<Letter>> own(producers);
      std::vector<std::thread> threads;
      for (int producer = 0; producer < producers; ++producer) {
        std::deque<Letter>& mine = own[static_cast<std::size_t>(producer)];
        mine.resize(letters);
        threads.emplace_back([&, producer] {
          std::mt19937 random = generator(seed, round * producers + producer);
          bool open = true;
          for (int number = 0; number < letters; ++number) {
            Letter& letter = mine[static_cast<std::size_t>(number)];
            letter.producer = producer;
            letter.number = number;
            letter.read.store(false, std::memory_order_relaxed);
            if (inbox.push(letter)) {
              if (!open) reopened = true;
              ++pushed;
            } else {
              open = false;
              ++refused;
              // It is ours again: nobody else may touch it.
              letter.number = -1;
            }
            if (number % 16 == 0) dawdle(random);
          }
        });
      }

      std::mt19937 random = generator(seed, -1 - round);
      const int close_after = static_cast<int>(random() % (producers * letters));
      while (consumer.total() < close_after)
        consumer.iterate(random);
      if (random() % 2 == 0) inbox.fall_asleep();  // closed out of a sleep, too
      consumer.close_ring();
      consumer.read_all(inbox.close());
      for (std::thread& thread : threads)
        thread.join();

      CHECK(consumer.in_order());
      CHECK_FALSE(reopened);
      CHECK(consumer.total() == pushed);
      CHECK(pushed + refused == producers * letters);
      CHECK(inbox.wakes() <= consumer.sleeps() + 1);
      refused_in_all += static_cast<std::uint64_t>(refused);
      delivered_in_all += static_cast<std::uint64_t>(pushed);
    }
    CHECK(refused_in_all > 0);
    CHECK(delivered_in_all > 0);
  }

  TEST_CASE("an inbox may go as soon as it is closed, although its last push has not returned") {
    const siding_test::LeakGuard guard;
    const int rounds = 2000 * scale;
    // Handed over by the consumer (release), taken by the producer (acquire).
    std::atomic<Inbox*> handed = nullptr;
    std::atomic<bool> over = false;
    Letter letter;
    std::thread producer([&] {
      while (!over.load(std::memory_order_acquire)) {
        Inbox* inbox = handed.exchange(nullptr, std::memory_order_acquire);
        if (inbox == nullptr) {
          std::this_thread::yield();
        } else {
          inbox->push(letter);  // nothing of the inbox may be touched once this has been seen
        }
      }
    });

    int received = 0;
    int left = 0;
    for (int round = 0; round < rounds; ++round) {
      auto inbox = std::make_unique<Inbox>();
      handed.store(inbox.get(), std::memory_order_release);
      Node* chain = nullptr;
      while (chain == nullptr) {
        if (round % 2 == 0) {
          inbox->wait();
        } else {
          while (!inbox->has_mail())
            std::this_thread::yield();
        }
        chain = inbox->take();
      }
      if (chain == &letter) ++received;
      if (inbox->close() != nullptr) ++left;
      inbox.reset();
    }
    over.store(true, std::memory_order_release);
    producer.join();

    CHECK(received == rounds);
    CHECK(left == 0);
  }
}

}  // namespace
}  // namespace siding_test::inbox_stress_test
