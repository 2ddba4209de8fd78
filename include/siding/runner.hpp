// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/body.hpp>
#include <siding/event_loop.hpp>
#include <siding/export.hpp>
#include <siding/task.hpp>
#include <siding/time.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace siding {

/// How `run()` and `Runner` behave.
struct RunOptions {
  /// The loop's own settings: `run(main(), {.loop = {.debug = true}})`.
  LoopOptions loop{};
  /// How long the end waits at most for calls of the default executor, and for calls that tasks
  /// which are left still await; none by default. Past it a line that names them goes to the log, and
  /// what they use is leaked: the executor, and where a task awaits one, the loop with the frames of
  /// its tasks.
  Limit executor_join_limit{};
  /// Whether the first SIGINT cancels main and the second ends the run at once, without waiting for
  /// calls that run; what these use is leaked, as past executor_join_limit. A loop that is stuck comes
  /// to neither: there the third ends the process, as SIGINT does by default. Only on the main
  /// thread, and only where SIGINT has its default action, which is restored afterwards.
  bool handle_sigint = true;
};

/// One loop for several runs, ended once: cancels the tasks that are left and waits for them, shuts
/// the default executor down and waits for its calls, closes the loop.
///
/// Thread safety: distinct objects: safe, one per thread. Shared objects: unsafe; use it on one
///   thread.
class SIDING_EXPORT Runner {
 public:
  /// Throws: IoUringUnavailable; std::logic_error inside a running loop.
  explicit Runner(RunOptions options = {});
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner();

  /// Runs the loop until `main` has ended, and gives what it returned or throws what it threw.
  /// Throws: std::logic_error inside a running loop; then `main` is destroyed unstarted.
  ///   Interrupted if SIGINT came and main ended by it; Cancelled, which is no std::exception, if
  ///   main ended cancelled otherwise.
  template <class T>
  T run(Task<T> main) {
    check_can_run();
    Future<T> future = loop().create_task(std::move(main), {.name = "main"});
    run_main(future);
    return std::move(future).result();
  }
  template <detail::body_of<> Body>
  detail::body_result_t<Body> run(Body&& body) {
    return run(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)));
  }

  EventLoop& loop() noexcept;

  /// Ends it all; the destructor calls it. Idempotent. Throws: std::logic_error inside a running
  /// loop, its own or another.
  void close();

 private:
  void check_can_run() const;
  void run_main(const AnyFuture& main);

  struct State;
  std::string unfinished_text() const;
  void leak(const char* why);
  static void keep_for_good(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

/// Runs `main` on a loop of its own, and ends the loop: what a program's `main` function calls.
///
/// When `main` has ended, tasks that are left are cancelled and waited for, and so are the calls of
/// the default executor.
///
/// Parameters:
///   main  a task, or a callable that returns one, which is kept alive until it has ended.
/// Returns: what `main` returns. Throws: what `main` throws; Cancelled, which is no std::exception,
///   if main ended cancelled; IoUringUnavailable; Interrupted; std::logic_error inside a running loop,
///   before anything else happens; InvalidStateError if `main` was moved from or awaited before.
/// Blocks the calling thread.
template <class T>
T run(Task<T> main, RunOptions options = {}) {
  Runner runner(options);
  return runner.run(std::move(main));
}
template <detail::body_of<> Body>
detail::body_result_t<Body> run(Body&& body, RunOptions options = {}) {
  return run(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)), options);
}

}  // namespace siding
