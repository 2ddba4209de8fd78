// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace siding::detail {

/// How long a new zygote may take until it answers. Chosen: constructors of static objects may take
/// long. Tests change it.
inline constinit std::chrono::milliseconds zygote_start_limit{30'000};

/// "was killed by SIGSEGV", "ended with exit status 3".
std::string text_of_status(int wait_status);

/// The file of this program, to be executed again. Throws ProcessPoolUnavailable.
std::string program_image();

/// The process that worker processes are forked from: a copy of this program, executed anew and
/// stopped before main(). One per process, shared by all pools, ended with the last of them; but some
/// pools have one of their own, or a fork of the program.
/// Thread safety: safe.
class Zygote {
 public:
  /// The one that lives, or a new one.
  /// Throws: ProcessPoolUnavailable, std::system_error.
  static std::shared_ptr<Zygote> get();
  /// One that no other pool has.
  static std::shared_ptr<Zygote> of_its_own();
  /// One that is a fork of the program as it is now.
  static std::shared_ptr<Zygote> of_snapshot();
  /// Throws ProcessPoolUnavailable where none could be made: the program lacks the hook, or this is
  /// a worker process.
  static void check_available();
  /// The same of one that is a fork, which needs no hook.
  static void check_is_no_worker();

  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;
  /// Waits until it has ended, and its workers before it.
  ~Zygote();

  /// Throws ProcessPoolUnavailable if it has threads, and so cannot be forked safely.
  void require_one_thread() const;
  /// Calls a function there, and waits for it. Throws what it throws, and ProcessPoolUnavailable if it
  /// started a thread, or ended the process.
  void call(void (*function)());

  /// A socket of its own for a pool. Throws std::system_error.
  FileDescriptor connect();
  /// Lets go of a pool's socket, also in the zygote.
  static void disconnect(FileDescriptor connection) noexcept;
  /// Whether it can still be asked.
  bool alive() const noexcept;
  /// Can be read when it is gone; negative where the kernel has no such thing.
  int handle() const noexcept { return handle_.get(); }
  pid_t pid() const noexcept { return pid_; }

 private:
  /// Throws ProcessPoolUnavailable where another try would end as this one did.
  enum class Origin { executed, forked };
  explicit Zygote(Origin origin, int spin_count_memory);
  static std::shared_ptr<Zygote> make(Origin origin);
  void execute(FileDescriptor theirs);
  void fork(FileDescriptor theirs);
  void kill() noexcept;
  /// Its wait status, unless the program ignores SIGCHLD or has collected it.
  std::optional<int> end() noexcept;

  /// Whether this process is a child of the one that made it.
  bool inherited() const noexcept;

  const std::uint32_t forks_;
  FileDescriptor socket_;
  FileDescriptor handle_;  // a pidfd
  pid_t pid_ = -1;
  int threads_ = 1;
};

}  // namespace siding::detail
