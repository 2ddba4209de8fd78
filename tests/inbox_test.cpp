// SPDX-License-Identifier: MIT
#include <siding/detail/inbox.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>

#include <memory>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/event_count.hpp"
#include "support/leak_guard.hpp"

namespace siding_test::inbox_test {
namespace {

using siding::detail::Inbox;
using siding::detail::Node;
using siding_test::event_count;

struct Letter final : Node {
  void run() noexcept override {}
  void refuse() noexcept override {}
};

std::vector<const Node*> list(const Node* chain) {
  std::vector<const Node*> nodes;
  for (; chain != nullptr; chain = chain->next)
    nodes.push_back(chain);
  return nodes;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_SUITE("Inbox") {
  TEST_CASE("what was pushed is taken once, oldest first") {
    Inbox inbox;
    Letter a;
    Letter b;
    Letter c;
    CHECK_FALSE(inbox.has_mail());
    CHECK(inbox.take() == nullptr);

    CHECK(inbox.push(a));
    CHECK(inbox.push(b));
    CHECK(inbox.push(c));

    CHECK(inbox.has_mail());
    CHECK(list(inbox.take()) == std::vector<const Node*>{&a, &b, &c});
    CHECK_FALSE(inbox.has_mail());
    CHECK(inbox.take() == nullptr);
  }

  TEST_CASE("a node that was taken can be pushed again") {
    Inbox inbox;
    Letter a;
    Letter b;
    inbox.push(a);
    inbox.push(b);
    inbox.take();

    inbox.push(b);
    inbox.push(a);

    CHECK(list(inbox.take()) == std::vector<const Node*>{&b, &a});
  }

  TEST_CASE("a push to a loop that is awake writes nothing") {
    Inbox inbox;
    Letter a;

    inbox.push(a);

    CHECK(event_count(inbox.event_fd()) == 0);
    inbox.take();
    CHECK(inbox.wakes() == 0);
  }

  TEST_CASE("the push that ends a sleep writes once; those behind it do not") {
    Inbox inbox;
    Letter a;
    Letter b;
    CHECK(inbox.fall_asleep());
    CHECK(inbox.is_asleep());
    CHECK_FALSE(inbox.has_mail());

    inbox.push(a);
    inbox.push(b);

    CHECK_FALSE(inbox.is_asleep());
    CHECK(event_count(inbox.event_fd()) == 1);
    CHECK(list(inbox.take()) == std::vector<const Node*>{&a, &b});
    CHECK(inbox.wakes() == 1);
  }

  TEST_CASE("a loop does not fall asleep while something is waiting") {
    Inbox inbox;
    Letter a;
    inbox.push(a);

    CHECK_FALSE(inbox.fall_asleep());

    CHECK_FALSE(inbox.is_asleep());
    CHECK(list(inbox.take()) == std::vector<const Node*>{&a});
    CHECK(event_count(inbox.event_fd()) == 0);
  }

  TEST_CASE("a sleep that ends by itself is ended by take, and owes no write") {
    Inbox inbox;
    Letter a;
    CHECK(inbox.fall_asleep());

    CHECK(inbox.take() == nullptr);

    CHECK_FALSE(inbox.is_asleep());
    inbox.push(a);
    CHECK(event_count(inbox.event_fd()) == 0);
    CHECK(list(inbox.take()) == std::vector<const Node*>{&a});
    CHECK(inbox.wakes() == 0);
  }

  TEST_CASE("the event is never read: its count is the number of sleeps that a push ended") {
    Inbox inbox;
    Letter a;
    for (unsigned round = 1; round <= 5; ++round) {
      REQUIRE(inbox.fall_asleep());
      inbox.push(a);
      inbox.take();
      REQUIRE(inbox.fall_asleep());
      inbox.take();

      CHECK(inbox.wakes() == round);
      CHECK(event_count(inbox.event_fd()) == round);
    }
  }

  TEST_CASE("closing gives back what was waiting, refuses what comes, and closes the descriptor") {
    const siding_test::LeakGuard guard;
    Inbox inbox;
    const int event_fd = inbox.event_fd();
    Letter a;
    Letter b;
    Letter late;
    inbox.push(a);
    inbox.push(b);

    CHECK(list(inbox.close()) == std::vector<const Node*>{&a, &b});

    CHECK_FALSE(is_open(event_fd));
    CHECK_FALSE(inbox.push(late));
    CHECK(late.next == nullptr);
    CHECK(inbox.close() == nullptr);
  }

  TEST_CASE("an inbox can be closed out of a sleep, whether or not a push has ended it") {
    for (const bool pushed : {false, true}) {
      const siding_test::LeakGuard guard;
      Inbox inbox;
      Letter a;
      REQUIRE(inbox.fall_asleep());
      if (pushed) inbox.push(a);

      CHECK(list(inbox.close()).size() == (pushed ? 1 : 0));

      CHECK(inbox.wakes() == (pushed ? 1 : 0));
    }
  }

  TEST_CASE("an inbox that was never used closes its descriptor") {
    const siding_test::LeakGuard guard;
    { const Inbox inbox; }
  }

  TEST_CASE("wait returns at once if something is waiting, else at the next push") {
    Inbox inbox;
    Letter a;
    inbox.push(a);
    inbox.wait();
    CHECK(list(inbox.take()) == std::vector<const Node*>{&a});

    // Writes of earlier sleeps, still in the counter, do not end it.
    for (int round = 0; round < 3; ++round) {
      REQUIRE(inbox.fall_asleep());
      inbox.push(a);
      inbox.take();
    }
    Letter b;
    std::thread other([&] {
      while (!inbox.is_asleep())
        std::this_thread::yield();
      inbox.push(b);
    });
    inbox.wait();
    CHECK(list(inbox.take()) == std::vector<const Node*>{&b});
    other.join();
    CHECK(inbox.close() == nullptr);
  }

  TEST_CASE("in a forked child an inbox is closed without touching the parent's") {
    Inbox inbox;
    Letter a;
    REQUIRE(inbox.fall_asleep());

    const int status = siding_test::status_in_child([&] {
      const int event_fd = inbox.event_fd();
      inbox.abandon_after_fork();
      return !is_open(event_fd) && !inbox.push(a) ? 0 : 1;
    });

    CHECK(status == 0);
    CHECK(event_count(inbox.event_fd()) == 0);
    inbox.push(a);
    CHECK(list(inbox.take()) == std::vector<const Node*>{&a});
    CHECK(inbox.wakes() == 1);
  }
}

}  // namespace
}  // namespace siding_test::inbox_test
