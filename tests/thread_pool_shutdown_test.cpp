// SPDX-License-Identifier: MIT
// Calls that are cancelled by a loop while their pool is shut down with cancel_pending.

#include <siding/siding.hpp>

#include <doctest/doctest.h>

#include <thread>

#include "support/gate.hpp"
#include "support/turns.hpp"

namespace siding_test::thread_pool_shutdown_test {
namespace {

using siding::Future;
using siding::Task;
using siding::ThreadPool;
using siding_test::Gate;
using siding_test::pass;
using siding_test::turns;

TEST_SUITE("ThreadPool") {
  TEST_CASE("while shutdown cancels the queued calls one by one, a loop can still take one back") {
    ThreadPool pool{{.max_workers = 1}};
    Gate running;
    Gate callback;
    pool.submit(pass, running.key());
    running.wait_for_arrivals(1);
    const Future<> first = pool.submit([] {});
    first.add_done_callback([key = callback.key()] { pass(key); });
    bool cancelled = false;
    std::thread stopper;
    auto main = [&]() -> Task<> {
      const Future<> second = siding::create_task(siding::offload(pool, [] {}));
      co_await turns(2);  // it is queued now, behind the first
      stopper = std::thread([&pool] { pool.shutdown({.wait = false, .cancel_pending = true}); });
      callback.wait_for_arrivals(1);  // the first is cancelled, and the second waits for that
      second.cancel();
      co_await turns(3);
      cancelled = second.cancelled();
      callback.open();
      running.open();
    };

    siding::run(main);
    stopper.join();

    CHECK(cancelled);
  }

  TEST_CASE("no worker starts a call any more once shutdown cancels what is queued") {
    ThreadPool pool{{.max_workers = 1}};
    Gate running;
    Gate callback;
    const Future<> busy = pool.submit(pass, running.key());
    running.wait_for_arrivals(1);
    const Future<> first = pool.submit([] {});
    first.add_done_callback([key = callback.key()] { pass(key); });
    const Future<> second = pool.submit([] {});
    std::thread stopper([&pool] { pool.shutdown({.cancel_pending = true}); });
    callback.wait_for_arrivals(1);

    running.open();  // the worker is free, and finds the second queued
    busy.get();
    callback.open();
    stopper.join();

    CHECK(second.cancelled());
  }
}

}  // namespace
}  // namespace siding_test::thread_pool_shutdown_test
