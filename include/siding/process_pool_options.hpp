// SPDX-License-Identifier: MIT
#pragma once

#include <siding/sandbox.hpp>
#include <siding/time.hpp>
#include <siding/when_full.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace siding {

/// Of what worker processes are made.
enum class StartMethod : unsigned char {
  /// Of a copy of the program that was executed anew and stopped before main(): static objects exist,
  /// what main() did has not happened. Safe with threads, and as quick in a large program as in a small
  /// one. The pools of a program share that copy, unless `init` asks for one of its own.
  clean,
  /// Of the program as it is when the pool is made, which is forked for that: its global variables are
  /// there, and large tables are shared with it until either side writes. A fork copies none of the
  /// program's other threads: what they had locked stays locked for ever in workers. Make such pools
  /// before threads are started. That fork, and that of each worker, takes some 20 ms for each GiB that
  /// the program uses. If the copy is killed, the next one is of the program as it is then.
  snapshot,
  /// Each worker is executed anew, on its own. For programs in which constructors of static objects
  /// start threads, which cannot be copied. Takes as long as the program needs to come to main().
  isolated,
};

/// What becomes of a process pool when a worker dies of a call.
enum class OnCrash : unsigned char {
  replace_worker,  ///< only that call fails
  break_pool,      ///< all unfinished and later calls fail with BrokenExecutor
};

/// Where what workers print goes.
enum class Output : unsigned char {
  inherit,  ///< to the standard output and error of the program, directly
  relay,    ///< by the line, through the program: see `on_output`; crash reports hold the last lines
};

/// A line that a worker printed.
struct OutputLine {
  std::string_view text;  ///< without its end; longer ones than 8 KiB come in pieces
  bool is_error = false;  ///< from standard error
  pid_t pid = -1;
  std::string_view call;  ///< what it ran; empty: nothing
};

/// One limit of the system for workers, as setrlimit() takes it.
struct ResourceLimit {
  int resource = 0;         ///< RLIMIT_CPU, RLIMIT_NOFILE and so on
  std::uint64_t value = 0;  ///< soft and hard
};

/// How a process pool is made. It owns strings: name it before a co_await expression.
struct ProcessPoolOptions {
  /// At most so many workers, 1 to 4096; by default the usable CPUs, of which affinity and a quota of the
  /// control group take away.
  std::optional<std::size_t> max_workers{};
  /// Shown in reports, and as the workers' name in the system (cut to 15 characters).
  std::string name = "siding-worker";
  /// Runs once in each worker before its first call. If it throws, the pool is broken: all its
  /// pending and later work fails with BrokenExecutor, which holds the error nested.
  void (*initializer)() = nullptr;
  /// How long a call that is cancelled, or past its run_limit, may go on if its function takes a
  /// `std::stop_token`, before its worker is ended. A function that takes none is not given any time.
  std::chrono::nanoseconds cancel_grace = std::chrono::milliseconds(200);
  /// How long a worker that becomes idle looks for the next call before it sleeps; zero: not at all.
  std::chrono::nanoseconds spin = std::chrono::microseconds(20);

  // How it starts.

  StartMethod start = StartMethod::clean;
  /// Runs once in the process that workers are copied from, before the first of them: what it loads is
  /// shared by all. It must not start threads. If it throws, the pool is broken. The pool's end
  /// waits for it, however long it takes. Not with StartMethod::isolated.
  void (*init)() = nullptr;

  // How workers end.

  /// Between SIGTERM and SIGKILL, when a worker is ended for a call: for functions that handle SIGTERM.
  /// Others end at once.
  std::chrono::nanoseconds kill_grace = std::chrono::milliseconds(100);
  /// A worker is replaced after so many calls; 0: never.
  std::size_t max_tasks_per_child = 0;
  /// A worker that uses more memory than so many bytes after a call is replaced, which is written to the
  /// log; 0: no limit. Counted are pages in memory that no other process has (resident less shared).
  std::size_t max_rss = 0;
  /// A worker that is older is replaced between calls.
  Limit max_age{};
  /// A worker that is idle for so long ends; a later call makes one anew. None by default.
  Limit idle_timeout{};
  /// How many of them idle_timeout leaves; at most `max_workers`. None is made before it is needed.
  std::size_t min_workers = 0;
  /// When a worker ends, for whatever reason, the processes that its calls have started end too (its
  /// process group).
  bool kill_children = false;
  OnCrash on_crash = OnCrash::replace_worker;
  /// So many deaths of workers by one call end its retries, with PoisonCall. At least 1.
  unsigned poison_limit = 3;

  // What workers may use.

  /// Bytes of heap and other private memory for each worker; beyond it an allocation throws
  /// std::bad_alloc, which goes to the caller. 0: no limit. (RLIMIT_DATA)
  std::size_t max_memory = 0;
  /// Other limits of the system. RLIMIT_AS is raised by the addresses of the memory that a worker shares
  /// with the program, about 16 GiB.
  std::vector<ResourceLimit> resource_limits{};
  /// The CPUs that workers may run on, by number; empty: those of the program.
  std::vector<int> cpus{};
  /// Added to the program's niceness: 19 is the least favoured.
  int nice = 0;
  /// The workers' working directory; empty: that of the program when the first worker is started.
  std::string working_directory{};
  /// What workers may do at all; without it, what the program may. For functions that read what a stranger
  /// has made.
  std::optional<Sandbox> sandbox{};
  /// Variables of the workers' environment, beside those of the program; nullopt takes one away.
  std::map<std::string, std::optional<std::string>> environment{};

  // What goes in and out.

  /// Open descriptors of the program that workers have too, under the same numbers, 3 to 1023, at most 8;
  /// beside standard output and error they have no other. Close-on-exec there. They have to stay open as
  /// long as the pool makes workers.
  std::vector<int> pass_descriptors{};
  /// How many calls may wait for a worker at most; 0: no limit.
  std::size_t queue_limit = 0;
  /// What happens to the next one.
  WhenFull when_full = WhenFull::block;
  Output output = Output::inherit;
  /// Is called with each line where output is relayed, on a thread of the pool; it must not block long.
  /// By default lines go to the program's standard output and error with the worker's pid and the call's
  /// name in front. What it throws goes to the log.
  std::function<void(const OutputLine&)> on_output{};
};

/// What a process pool does now, and did since it was made.
struct ProcessPoolStatistics {
  std::size_t workers = 0;  ///< processes that exist or are being made
  std::size_t busy = 0;     ///< those that have a call
  std::size_t idle = 0;     ///< those that have none
  std::size_t queued = 0;   ///< calls that no worker has begun; one that was cancelled may be among them
  std::size_t running = 0;  ///< calls that workers have begun
  std::uint64_t completed = 0;    ///< calls that returned
  std::uint64_t failed = 0;       ///< calls that threw
  std::uint64_t crashed = 0;      ///< deaths of workers while they ran a call
  std::uint64_t ended = 0;        ///< calls that were asked to stop, or whose worker was ended
  std::uint64_t retried = 0;      ///< calls that were made again
  std::uint64_t started = 0;      ///< workers that were made
  std::uint64_t retired = 0;      ///< workers that were replaced or let go without need
};

}  // namespace siding
