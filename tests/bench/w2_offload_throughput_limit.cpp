// SPDX-License-Identifier: MIT
// Question (W2): how many trivial calls per second can two worker threads and one loop thread pass
// to and fro, with no library in between?
// The baseline: chains instead of coroutines, one locked intrusive queue, one atomic inbox that is
// taken as a whole list, no allocation. Everybody spins for spin_limit before sleeping, of the
// workers at most one. Forms, by the first argument:
//   two_workers  what the peers have: a worker takes one call at a time
//   one_worker   the same with one worker: what the second one costs
//   batched      two workers that take up to batch_limit calls at a time. No general pool may do
//                so: a call that blocks would hold up those taken with it while a worker idles

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"
#include "limit.hpp"

namespace {

// Chosen, not measured: small against the 1 000 chains, so that both workers find work.
constexpr int batch_limit = 64;

struct Chain {
  Chain* link = nullptr;  // in the queue, in a worker's list or in the inbox
  std::int64_t next = 0;
  std::int64_t end = 0;
  std::int64_t result = 0;
  std::int64_t sum = 0;
};

struct List {
  Chain* first = nullptr;
  Chain* last = nullptr;

  void append(Chain* chain) {
    chain->link = nullptr;
    (first != nullptr ? last->link : first) = chain;
    last = chain;
  }
};

// From the loop to the workers.
class Queue {
 public:
  explicit Queue(int calls_per_visit) : calls_per_visit_(calls_per_visit) {}

  // Runs on the loop thread. Takes the whole list.
  void push(List list) {
    {
      const std::lock_guard lock(mutex_);
      (queued_.first != nullptr ? queued_.last->link : queued_.first) = list.first;
      queued_.last = list.last;
      filled_.store(1);
    }
    // Sequentially consistent with wait_for_jobs(): no spinner seen means that whoever sleeps, or
    // is about to, either sees filled_ or is woken.
    if (!spinner_.load()) wake_one();
  }

  // Runs on a worker. An empty list: stop.
  List take() {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (queued_.first != nullptr) return take_locked();
      }
      if (stopping_.load()) return {};
      wait_for_jobs();
    }
  }

  void stop() {
    stopping_.store(true);
    filled_.store(1);
    bench::futex_wake(filled_, static_cast<int>(bench::worker_count));
  }

 private:
  List take_locked() {
    List taken{queued_.first, queued_.first};
    for (int count = 1; count < calls_per_visit_ && taken.last->link != nullptr; ++count)
      taken.last = taken.last->link;
    queued_.first = taken.last->link;
    taken.last->link = nullptr;
    if (queued_.first == nullptr) {
      if (!stopping_.load()) filled_.store(0);
    } else if (!spinner_.load()) {
      wake_one();  // a backlog: hand it on
    }
    return taken;
  }

  void wake_one() {
    if (sleepers_.load() != 0) bench::futex_wake(filled_, 1);
  }

  void wait_for_jobs() {
    if (!spinner_.exchange(true)) {
      const bool ready = bench::spin_until([this] { return filled_.load() != 0; });
      spinner_.store(false);
      if (ready) return;
    }
    sleepers_.fetch_add(1);
    bench::futex_wait(filled_, 0);
    sleepers_.fetch_sub(1);
  }

  const int calls_per_visit_;
  std::mutex mutex_;
  List queued_;                                       // guarded by mutex_
  alignas(64) std::atomic<std::uint32_t> filled_{0};  // 1: look at queued_, or at stopping_
  alignas(64) std::atomic<bool> spinner_{false};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
};

// From the workers to the loop.
class Inbox {
 public:
  // Runs on a worker. Takes the whole list.
  void push(List list) {
    Chain* top = top_.load(std::memory_order_relaxed);
    do {
      list.last->link = top;
      // Release: publishes the results and links of the list.
    } while (!top_.compare_exchange_weak(top, list.first, std::memory_order_seq_cst,
                                         std::memory_order_relaxed));
    if (asleep_.load() != 0 && asleep_.exchange(0) != 0) bench::futex_wake(asleep_, 1);
  }

  // Runs on the loop thread. Blocks until there is something.
  Chain* take_all() {
    const auto filled = [this] { return top_.load(std::memory_order_relaxed) != nullptr; };
    while (!filled() && !bench::spin_until(filled)) {
      asleep_.store(1);
      // Sequentially consistent with push(): either we see the list or the worker sees asleep_.
      if (top_.load() == nullptr) bench::futex_wait(asleep_, 1);
      asleep_.store(0);
    }
    return top_.exchange(nullptr, std::memory_order_acquire);
  }

 private:
  alignas(64) std::atomic<Chain*> top_{nullptr};
  alignas(64) std::atomic<std::uint32_t> asleep_{0};
};

class Pool {
 public:
  Pool(std::int64_t workers, int calls_per_visit) : queue_(calls_per_visit) {
    for (std::int64_t index = 0; index < workers; ++index)
      workers_.emplace_back([this] { work(); });
  }

  ~Pool() {
    queue_.stop();
    for (auto& worker : workers_)
      worker.join();
  }

  // Runs on the loop thread.
  void run_chains(std::int64_t calls_each) {
    std::vector<Chain> chains(static_cast<std::size_t>(bench::w2_coroutines));
    std::int64_t begin = 0;
    List ready;
    for (auto& chain : chains) {
      chain.next = begin;
      chain.end = begin += calls_each;
      ready.append(&chain);
    }
    for (auto unfinished = bench::w2_coroutines; unfinished > 0;) {
      if (ready.first != nullptr) queue_.push(ready);
      ready = {};
      for (Chain* chain = inbox_.take_all(); chain != nullptr;) {
        Chain* const following = chain->link;
        chain->sum += chain->result;
        if (++chain->next < chain->end)
          ready.append(chain);
        else
          --unfinished;
        chain = following;
      }
    }
    std::int64_t sum = 0;
    for (const auto& chain : chains)
      sum += chain.sum;
    bench::check_equal(sum, bench::expected_sum(bench::w2_coroutines * calls_each), "sum");
  }

 private:
  void work() {
    for (List taken = queue_.take(); taken.first != nullptr; taken = queue_.take()) {
      for (Chain* chain = taken.first; chain != nullptr; chain = chain->link)
        chain->result = bench::trivial_call(chain->next);
      inbox_.push(taken);
    }
  }

  Queue queue_;
  Inbox inbox_;
  std::vector<std::thread> workers_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto form = bench::form(argc, argv, "two_workers");
  if (form != "two_workers" && form != "one_worker" && form != "batched")
    bench::unknown_form("two_workers, one_worker, batched");
  const std::int64_t workers = form == "one_worker" ? 1 : bench::worker_count;

  Pool pool(workers, form == "batched" ? batch_limit : 1);
  pool.run_chains(bench::w2_warm_up_calls_each);
  const bench::Meter meter;
  pool.run_chains(bench::w2_calls_each);
  const auto peer = "limit_" + std::string(form);
  bench::print_throughput(peer.c_str(), meter.spent(), "", workers);
}
