// SPDX-License-Identifier: MIT
// Shows: tasks that share work through a queue, a semaphore, a mutex and an event.
//        docs/how_to/coordinate_tasks.md goes through it.
// Run:   build/examples/coordinate_tasks
// Prints:
//   3 workers handled 6 orders
//   at most 2 of them paid at a time
//   the balance is 21

#include <siding/siding.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <vector>

using namespace std::chrono_literals;

struct Shop {
  siding::Event open;
  siding::Queue<int> orders{2};  // full at two: who puts one more waits
  siding::Semaphore tills{2};
  siding::Mutex account;
  int balance = 0;
  int handled = 0;
  int paying = 0;
  int most_paying = 0;
};

siding::Task<> add_to_balance(Shop& shop, int amount) {
  const auto guard = co_await shop.account.lock();
  const int before = shop.balance;
  co_await siding::sleep(1ms);  // others run here, and must not change the balance
  shop.balance = before + amount;
}

siding::Task<> pay(Shop& shop, int amount) {
  const auto till = co_await shop.tills.acquire();  // given back at the end of its life
  shop.most_paying = std::max(shop.most_paying, ++shop.paying);
  co_await siding::sleep(1ms);
  co_await add_to_balance(shop, amount);
  --shop.paying;
}

siding::Task<> work(Shop& shop) {
  co_await shop.open.wait();
  try {
    for (;;) {
      const int order = co_await shop.orders.get();
      co_await pay(shop, order);
      ++shop.handled;
      shop.orders.task_done();
    }
  } catch (const siding::QueueShutDown&) {
    // The queue was shut down, and nothing is left in it.
  }
}

siding::Task<> trade() {
  Shop shop;
  std::vector<siding::Future<>> workers;
  for (int i = 0; i < 3; ++i)
    workers.push_back(siding::create_task(work(shop)));
  shop.open.set();
  for (int order = 1; order <= 6; ++order)
    co_await shop.orders.put(order);
  co_await shop.orders.join();
  shop.orders.shutdown();
  for (const siding::Future<>& worker : workers)
    co_await worker;
  fmt::print("{} workers handled {} orders\n", workers.size(), shop.handled);
  fmt::print("at most {} of them paid at a time\n", shop.most_paying);
  fmt::print("the balance is {}\n", shop.balance);
}

int main() {
  try {
    siding::run(trade());
  } catch (const std::exception& error) {
    fmt::print(stderr, "coordinate_tasks: {}\n", error.what());
    return 1;
  }
}
