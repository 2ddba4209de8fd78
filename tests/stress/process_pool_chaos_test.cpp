// SPDX-License-Identifier: MIT
// Calls of random fates on pools of random options, disturbed at random: none is lost, none runs twice,
// nobody else suffers, and nothing is left. SIDING_TEST_SEED repeats a round, SIDING_TEST_ROUNDS makes more.
#include <siding/siding.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/chaos_calls.hpp"
#include "support/chaos_ending.hpp"
#include "support/executor_subject.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_tree.hpp"
#include "support/seed.hpp"
#include "support/shared_counts.hpp"

namespace siding_test::process_pool_chaos_test {
namespace {

using namespace std::chrono_literals;
using siding::Future;
using siding::ProcessPool;
using siding::StartMethod;
using std::chrono::microseconds;
using std::chrono::steady_clock;

/// One call and what became of it.
struct Call {
  Plan plan;
  Way way = Way::submitted;
  Ending ending{};
  bool cancel_asked = false;  // both by the thread that cancels
  bool cancel_granted = false;
};

/// What is random in a round.
class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  int between(int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(random_);
  }
  microseconds time(int least, int most) { return microseconds(between(least, most)); }
  bool one_in(int n) { return between(1, n) == 1; }

 private:
  std::mt19937 random_;  // minstd_rand's first numbers are much the same for seeds that are near
};

struct Odds {
  Fate fate;
  int percent;
};
constexpr std::array odds{
    Odds{Fate::large, 5},   Odds{Fate::buffer, 5},    Odds{Fate::prints, 5}, Odds{Fate::in_time, 5},
    Odds{Fate::throws, 5},  Odds{Fate::segfault, 2},  Odds{Fate::abort, 2},  Odds{Fate::exit, 3},
    Odds{Fate::terminate, 1}, Odds{Fate::mortal, 5},  Odds{Fate::spin, 2},   Odds{Fate::near, 6},
    Odds{Fate::asked, 3},   Odds{Fate::deaf, 1},      Odds{Fate::held, 3},   Odds{Fate::no_memory, 3},
};

Fate any_fate(Dice& dice) {
  int die = dice.between(1, 100);
  for (const Odds& row : odds) {
    if (die <= row.percent) return row.fate;
    die -= row.percent;
  }
  return Fate::fine;
}

PoolEnd any_end(Dice& dice) {
  if (dice.one_in(6)) return PoolEnd::cancel_pending;
  if (dice.one_in(5)) return PoolEnd::kill;
  return dice.one_in(2) ? PoolEnd::drain : PoolEnd::close;
}

siding::ProcessPoolOptions any_options(Dice& dice, StartMethod start) {
  siding::ProcessPoolOptions options;
  options.start = start;
  options.max_workers = static_cast<std::size_t>(dice.between(1, 4));
  options.spin = dice.one_in(2) ? 0us : 20us;
  options.kill_grace = dice.one_in(2) ? 0ms : 5ms;
  options.cancel_grace = dice.time(1000, 5000);
  options.kill_children = dice.one_in(2);
  options.poison_limit = default_poison_limit;
  if (dice.one_in(3)) options.max_tasks_per_child = static_cast<std::size_t>(dice.between(1, 20));
  if (dice.one_in(3)) options.idle_timeout = dice.time(100, 2000);
  if (dice.one_in(4)) options.max_age = dice.time(2000, 20'000);
  if (dice.one_in(4)) options.queue_limit = 8;
  if (dice.one_in(2)) options.output = siding::Output::relay;
  // A sanitizer's own memory counts as well.
  if (!SIDING_SANITIZED && dice.one_in(2)) options.max_memory = std::size_t{256} << 20;
  return options;
}

Call any_call(Dice& dice, const siding::ProcessPoolOptions& options, std::size_t place, Way way) {
  Plan plan{.fate = any_fate(dice), .place = place};
  const bool impossible =
      (plan.fate == Fate::prints && options.output != siding::Output::relay) ||
      (plan.fate == Fate::no_memory && options.max_memory == 0) ||
      (plan.fate == Fate::held && way == Way::submitted) ||
      // The C++ library says so on standard error; a sanitizer's operator new ends the program by itself.
      (plan.fate == Fate::terminate &&
       (options.output != siding::Output::relay || SIDING_SANITIZED));
  if (impossible) plan.fate = Fate::fine;
  if (dice.one_in(4)) plan.priority = dice.between(-1, 1);
  if (dice.one_in(10)) plan.cancel_in = dice.time(1, 2000);
  if (dice.one_in(5)) plan.lasts = dice.time(1, 500);
  switch (plan.fate) {
    case Fate::in_time:
      plan.queue_limit = dice.time(50, 2000);
      break;
    case Fate::mortal:
      plan.deaths = static_cast<unsigned>(dice.between(1, 3));
      plan.retries = static_cast<unsigned>(dice.between(1, 3));
      break;
    case Fate::near:
      plan.run_limit = dice.time(300, 2000);
      plan.lasts = plan.run_limit + dice.time(-60, 60);
      break;
    case Fate::spin:
    case Fate::asked:
    case Fate::deaf:
      plan.run_limit = dice.time(100, 3000);
      break;
    case Fate::held:
      plan.cancel_in = dice.time(1, 4000);
      break;
    default:
      break;
  }
  return {plan, way};
}

/// Cancels calls at their time.
class Canceller {
 public:
  void note(Call& call, const siding::AnyFuture& future) {
    if (call.plan.cancel_in.count() == 0) return;
    const std::lock_guard lock(mutex_);
    due_.emplace(steady_clock::now() + call.plan.cancel_in, Entry{&call, future});
  }

  void work() {
    std::unique_lock lock(mutex_);
    if (due_.empty() || due_.begin()->first > steady_clock::now()) return;
    Entry entry = due_.begin()->second;
    due_.erase(due_.begin());
    lock.unlock();
    entry.call->cancel_asked = true;
    entry.call->cancel_granted = entry.future.cancel();
  }

 private:
  struct Entry {
    Call* call;
    siding::AnyFuture future;
  };
  std::mutex mutex_;
  std::multimap<steady_clock::time_point, Entry> due_;
};

/// Kills workers that have begun a call a short time ago, whatever they do now.
class Killer {
 public:
  Killer(const SharedCounts& counts, unsigned seed, bool kills)
      : counts_(counts), dice_(seed), next_(kills ? steady_clock::now() : steady_clock::time_point::max()) {}

  void work() {
    if (next_ > steady_clock::now()) return;
    next_ = steady_clock::now() + dice_.time(200, 5000);
    const pid_t pid = counts_[static_cast<std::size_t>(dice_.between(0, recent_workers - 1))];
    if (pid != 0 && signal_worker(pid, SIGKILL)) killed_.insert(pid);
  }
  bool has_killed(pid_t pid) const { return killed_.contains(pid); }
  std::size_t count() const { return killed_.size(); }

 private:
  const SharedCounts& counts_;
  Dice dice_;
  steady_clock::time_point next_;
  std::set<pid_t> killed_;
};

/// Makes the call by `send(options, fn, args...)`.
template <class Send>
Future<std::string> make_call(const Plan& plan, CountsKey key, Send send) {
  const siding::CallOptions options = options_of(plan);
  if (plan.fate == Fate::buffer) return send(options, act_on_buffer, key, plan, buffer_of(plan));
  if (plan.fate == Fate::asked || plan.fate == Fate::deaf) {
    return send(options, act_asked, key, plan);
  }
  return send(options, act, key, plan, payload_of(plan));
}

template <class F, class... Args>
siding::Task<std::string> await_call(ProcessPool& pool, siding::CallOptions options, F fn,
                                     Args... args) {
  auto call = siding::offload(pool, options, fn, std::move(args)...);
  co_return co_await call;
}

constexpr std::size_t senders = 3;  // a plain thread, and two loops
constexpr std::size_t calls_of_each = 110;
constexpr int all_calls = static_cast<int>(senders * calls_of_each);

/// One pool, and what is done to it.
class Round {
 public:
  Round(unsigned seed, StartMethod start)
      : dice_(seed),
        counts_(begun_at(all_calls)),
        killer_(counts_, seed, dice_.one_in(2)),
        end_(any_end(dice_)),
        ends_after_(dice_.between(all_calls / 2, all_calls)) {
    siding::ProcessPoolOptions options = any_options(dice_, start);
    for (std::size_t i = 0; i < senders * calls_of_each; ++i) {
      Way way = i < calls_of_each ? Way::submitted : Way::in_executor;
      // The loop's thread cannot wait for room.
      if (way == Way::in_executor && (options.queue_limit != 0 || dice_.one_in(2))) {
        way = Way::awaited;
      }
      calls_.push_back(any_call(dice_, options, i, way));
    }
    for (std::size_t& window : windows_) window = static_cast<std::size_t>(dice_.between(1, 40));
    if (options.output == siding::Output::relay) {
      options.on_output = [this](const siding::OutputLine& line) { ++lines_[std::string(line.text)]; };
    }
    pool_ = std::make_unique<ProcessPool>(options);
  }

  void run() {
    std::atomic<bool> over{false};
    std::thread disturber([&] {
      while (!over) {
        canceller_.work();
        killer_.work();
        std::this_thread::sleep_for(50us);
      }
    });
    std::thread plain([this] { submit_all(); });
    std::thread first([this] { run_loop(1); });
    std::thread second([this] { run_loop(2); });
    if (end_ == PoolEnd::kill || end_ == PoolEnd::cancel_pending) {
      becomes_true([this] { return made_ >= ends_after_; });
      end_pool();
    }
    plain.join();
    first.join();
    second.join();
    over = true;
    disturber.join();
    if (end_ == PoolEnd::close) pool_->close().get(hang_limit);
    pool_.reset();
  }

  /// After run().
  std::vector<Verdict> verdicts() const {
    std::vector<Verdict> all;
    for (const Call& call : calls_) {
      Evidence seen{call.way, end_, call.cancel_asked, call.cancel_granted};
      const std::size_t at = begun_at(call.plan.place);
      seen.begun = counts_[at];
      // One may also be killed before the function begins, while the worker reads its arguments.
      std::set<pid_t> workers(call.ending.dead.begin(), call.ending.dead.end());
      for (std::size_t i = 1; i <= most_attempts; ++i) workers.insert(counts_[at + i]);
      for (const pid_t worker : workers) seen.struck += killer_.has_killed(worker) ? 1 : 0;
      all.push_back(judge(call.plan, call.ending, seen));
    }
    return all;
  }

  /// Calls that returned, and whose line was not relayed once.
  int lost_lines() const {
    int lost = 0;
    for (const Call& call : calls_) {
      if (call.plan.fate != Fate::prints || call.ending.kind != Ending::value) continue;
      const auto found = lines_.find(line_of(call.plan.place));
      lost += found != lines_.end() && found->second == 1 ? 0 : 1;
    }
    return lost;
  }

  const std::vector<Call>& calls() const { return calls_; }
  std::size_t killed() const { return killer_.count(); }

 private:
  void end_pool() {
    if (end_ == PoolEnd::kill) return pool_->kill();
    pool_->shutdown({.wait = false, .cancel_pending = true});
  }

  void refuse(Call& call) { call.ending.kind = Ending::refused; }

  // The plain thread.
  void submit_all() {
    for (std::size_t from = 0; from < calls_of_each; from += windows_[0]) {
      std::vector<std::pair<Call*, Future<std::string>>> window;
      for (std::size_t i = from; i < std::min(from + windows_[0], calls_of_each); ++i) {
        Call& call = calls_[i];
        ++made_;
        try {
          window.emplace_back(&call, make_call(call.plan, counts_.key(), [this](const auto&... parts) {
                                return pool_->submit(parts...);
                              }));
        } catch (const siding::ShutdownError&) {
          refuse(call);
          continue;
        }
        canceller_.note(call, window.back().second);
      }
      for (auto& [call, future] : window) {
        becomes_true([&call_future = future] { return call_future.done(); });
        call->ending = ending_of(future);
      }
    }
  }

  void run_loop(std::size_t sender) {
    siding::EventLoop loop;
    loop.run_until_complete(make_all(sender));
    loop.close();
  }

  siding::Task<> make_all(std::size_t sender) {
    const std::size_t end = (sender + 1) * calls_of_each;
    for (std::size_t from = sender * calls_of_each; from < end; from += windows_[sender]) {
      std::vector<Call*> window;
      std::vector<Future<std::string>> futures;
      for (std::size_t i = from; i < std::min(from + windows_[sender], end); ++i) {
        ++made_;
        try {
          futures.push_back(make_on_loop(calls_[i]));
          window.push_back(&calls_[i]);
        } catch (const siding::ShutdownError&) {
          refuse(calls_[i]);
          continue;
        }
        canceller_.note(calls_[i], futures.back());
      }
      if (futures.empty()) continue;
      const siding::WaitOptions patience{.timeout = hang_limit};
      co_await siding::wait(futures, patience);
      for (std::size_t i = 0; i < window.size(); ++i) window[i]->ending = ending_of(futures[i]);
    }
  }

  Future<std::string> make_on_loop(Call& call) {
    if (call.way == Way::in_executor) {
      return make_call(call.plan, counts_.key(), [this](const auto&... parts) {
        return siding::run_in_executor(*pool_, parts...);
      });
    }
    return make_call(call.plan, counts_.key(), [this](const auto&... parts) {
      return siding::create_task(await_call(*pool_, parts...));
    });
  }

  Dice dice_;
  SharedCounts counts_;
  Killer killer_;
  Canceller canceller_;
  const PoolEnd end_;
  const int ends_after_;  // so many calls, if it does before the last
  std::atomic<int> made_{0};
  std::array<std::size_t, senders> windows_{};
  std::vector<Call> calls_;
  std::map<std::string, int> lines_;  // the pool's thread, until it has ended
  std::unique_ptr<ProcessPool> pool_;
};

void run_rounds(StartMethod start, unsigned long usual) {
  const KeptForGood kept;
  std::array<std::size_t, 5> verdicts{};
  std::array<std::size_t, 9> endings{};
  std::size_t killed = 0;
  unsigned seed = random_seed();
  const unsigned long rounds = random_rounds(usual);
  for (unsigned long i = 0; i < rounds; ++i, ++seed) {
    INFO("seed ", seed);
    const LeakGuard guard;
    Round round(seed, start);
    round.run();
    for (const Verdict& verdict : round.verdicts()) {
      ++verdicts[verdict.kind];
      CHECK_MESSAGE(verdict.kind == Verdict::right, verdict.text);
    }
    CHECK(round.lost_lines() == 0);
    for (const Call& call : round.calls()) ++endings[call.ending.kind];
    killed += round.killed();
  }
  MESSAGE(fmt::format("{} calls: twice {}, lost {}, innocent {}, wrong {}; {} returned, {} threw, {} had no "
                      "memory, {} crashed, {} timed out, {} cancelled, {} refused; {} workers killed",
                      rounds * all_calls, verdicts[Verdict::twice],
                      verdicts[Verdict::lost], verdicts[Verdict::innocent], verdicts[Verdict::wrong],
                      endings[Ending::value], endings[Ending::thrown], endings[Ending::no_memory],
                      endings[Ending::crashed], endings[Ending::timed_out],
                      endings[Ending::cancelled], endings[Ending::refused], killed));
  CHECK(endings[Ending::crashed] > 0);
}

TEST_SUITE("ProcessPool in chaos") {
  // PP-004, PP-005, PP-006, PP-010, PP-011, PP-013, PP-018
  TEST_CASE("clean workers: no call is lost or runs twice, no innocent suffers, nothing is left") {
    run_rounds(StartMethod::clean, SIDING_SANITIZED ? 8 : 13);
  }

  // PP-027
  TEST_CASE("snapshots: no call is lost or runs twice, no innocent suffers, nothing is left" *
            doctest::skip(thread_sanitized)) {
    run_rounds(StartMethod::snapshot, SIDING_SANITIZED ? 2 : 13);
  }

  // PP-027
  TEST_CASE("isolated workers: no call is lost or runs twice, no innocent suffers, nothing is left") {
    run_rounds(StartMethod::isolated, SIDING_SANITIZED ? 3 : 5);
  }
}

}  // namespace
}  // namespace siding_test::process_pool_chaos_test
