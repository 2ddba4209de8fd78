// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/error.hpp>
#include <siding/future.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "chaos_calls.hpp"

// How the calls of the chaos test may end.

namespace siding_test {

/// How a call was made.
enum class Way { submitted, in_executor, awaited };

/// Who or what ended the pool.
enum class PoolEnd { drain, close, cancel_pending, kill };

/// What has become of a call.
struct Ending {
  enum Kind { value, thrown, no_memory, crashed, timed_out, cancelled, refused, lost, other };
  Kind kind = lost;
  std::string text{};
  int signal = 0;
  int exit_status = 0;
  unsigned attempt = 1;
  std::vector<pid_t> dead{};  // workers: that of the last attempt, and those of the earlier ones
};

inline Ending ending_of(const siding::Future<std::string>& call) {
  if (!call.done()) return {Ending::lost};
  try {
    return {Ending::value, call.result()};
  } catch (const siding::WorkerCrashed& crash) {
    Ending ending{Ending::crashed, crash.what(), crash.signal(), crash.exit_status(),
                    crash.details().attempt, {crash.pid()}};
    for (const siding::WorkerCrashed& before : crash.details().earlier) {
      ending.dead.push_back(before.pid());
    }
    return ending;
  } catch (const siding::TimeoutError& error) {
    return {Ending::timed_out, error.what()};
  } catch (const siding::Cancelled& cancelled) {
    return {Ending::cancelled, cancelled.reason()};
  } catch (const siding::ShutdownError& error) {
    return {Ending::refused, error.what()};
  } catch (const std::bad_alloc& error) {
    return {Ending::no_memory, error.what()};
  } catch (const std::exception& error) {
    return {Ending::thrown, error.what()};
  } catch (...) {
    return {Ending::other};
  }
}

/// What is known of a call when all of them have ended.
struct Evidence {
  Way way = Way::submitted;
  PoolEnd end = PoolEnd::drain;
  bool cancel_asked = false;
  bool cancel_granted = false;  // cancel() said true
  int begun = 0;
  int struck = 0;  // its workers that were killed from outside, at whatever moment
};

/// What may be wrong.
struct Verdict {
  enum Kind { right, twice, lost, innocent, wrong };
  Kind kind = right;
  std::string text{};
};

/// How often it may begin, if nobody kills its worker from outside.
inline int begins_of(const Plan& plan, unsigned poison_limit) {
  return static_cast<int>(std::min({plan.deaths, plan.retries, poison_limit - 1})) + 1;
}

/// Whether a call that nobody disturbed ends as its fate says.
inline bool fits(const Plan& plan, const Ending& ending) {
  const auto died = [&](int signal, int status) {
    return ending.kind == Ending::crashed && ending.signal == signal &&
           ending.exit_status == status;
  };
  const auto gave = [&](const std::string& text) {
    return ending.kind == Ending::value && ending.text == text;
  };
  const bool fine = gave(value_of_fine(plan.place));
  switch (plan.fate) {
    case Fate::fine:
    case Fate::prints:
      return fine;
    case Fate::large:
      return gave(reversed_payload(plan));
    case Fate::buffer:
      return gave(sum_of_buffer(plan));
    case Fate::in_time:
      return fine || ending.kind == Ending::timed_out;
    case Fate::throws:
      return ending.kind == Ending::thrown && ending.text == error_of(plan.place);
    case Fate::segfault:
      return died(SIGSEGV, 0);
    case Fate::abort:
    case Fate::terminate:
      return died(SIGABRT, 0);
    case Fate::exit:
      return died(0, 99);
    case Fate::mortal:
      return plan.deaths <= plan.retries && plan.deaths < default_poison_limit
                 ? fine
                 : died(SIGKILL, 0);
    case Fate::spin:
    case Fate::asked:
    case Fate::deaf:
      return ending.kind == Ending::timed_out;
    case Fate::near:
      return fine || ending.kind == Ending::timed_out;
    case Fate::held:
      return false;  // it is cancelled
    case Fate::no_memory:
      return ending.kind == Ending::no_memory;
  }
  return false;
}

inline bool is_innocent(Fate fate) {
  return fate == Fate::fine || fate == Fate::large || fate == Fate::buffer ||
         fate == Fate::prints || fate == Fate::throws || fate == Fate::no_memory;
}

/// `begun` and the cancellation fit the ending too.
inline Verdict judge(const Plan& plan, const Ending& ending, const Evidence& seen) {
  const std::string text =
      fmt::format("fate {}, place {}, way {}, ending {} '{:.200}', begun {}, struck {}, cancel {}{}, end {}",
                  static_cast<int>(plan.fate), plan.place, static_cast<int>(seen.way),
                  static_cast<int>(ending.kind), ending.text, seen.begun, seen.struck,
                  seen.cancel_asked, seen.cancel_granted, static_cast<int>(seen.end));
  const int undisturbed = begins_of(plan, default_poison_limit);
  const int most = std::min(undisturbed + seen.struck, static_cast<int>(plan.retries) + 1);
  if (ending.kind == Ending::lost) return {Verdict::lost, text};
  if (seen.begun > most) return {Verdict::twice, text};

  const bool pool_ended = seen.end == PoolEnd::cancel_pending || seen.end == PoolEnd::kill;
  if (ending.kind == Ending::refused) {
    return {pool_ended && seen.begun == 0 ? Verdict::right : Verdict::wrong, text};
  }
  if (ending.kind == Ending::cancelled) {
    // A call that was submitted is cancelled while it waits only: for each time that it began, its worker
    // has died.
    const bool waited = seen.begun <= static_cast<int>(plan.deaths) + seen.struck;
    if (seen.cancel_asked && seen.way == Way::awaited) return {};
    if (seen.cancel_granted && (waited || seen.way == Way::in_executor)) return {};
    if (seen.end == PoolEnd::kill) return {};
    if (seen.end == PoolEnd::cancel_pending && waited) return {};
    return {is_innocent(plan.fate) ? Verdict::innocent : Verdict::wrong, text};
  }
  // What cancel() said holds, but for a task, which it merely asks.
  if (seen.cancel_granted && seen.way != Way::awaited) return {Verdict::wrong, text};
  if (ending.kind == Ending::crashed && seen.struck > 0 && ending.signal == SIGKILL) return {};
  if (!fits(plan, ending)) {
    const bool fell = ending.kind == Ending::crashed || ending.kind == Ending::timed_out;
    return {fell && is_innocent(plan.fate) ? Verdict::innocent : Verdict::wrong, text};
  }
  if (ending.kind == Ending::crashed && seen.struck == 0 &&
      static_cast<int>(ending.attempt) != seen.begun) {
    return {Verdict::wrong, text};
  }
  if (ending.kind == Ending::timed_out) {
    // A run_limit may also pass while the worker reads the arguments.
    return {plan.fate == Fate::in_time && seen.begun != 0 ? Verdict::wrong : Verdict::right, text};
  }
  return {seen.begun < undisturbed ? Verdict::wrong : Verdict::right, text};
}

}  // namespace siding_test
