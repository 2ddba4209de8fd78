// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <vector>

namespace siding {

/// What the workers of a `ProcessPool` may do, beside computing: everything else is refused. For
/// functions that read what a stranger has made: documents, images, archives, fonts.
///
/// A worker in a sandbox can use memory, threads, clocks, random numbers, and the descriptors that it
/// has. Any other system call fails with EPERM: opening and making files, sockets, `fork`, `exec`,
/// signals to others, `ptrace`, namespaces, io_uring (so a function cannot run an `EventLoop` there),
/// memory that is code (so no just-in-time compiler and no `dlopen`). The fields give some of it back.
///
/// What it protects from: a function that a hostile input has taken over can compute something else,
/// waste the time and the memory that it may have, and return a wrong result. It cannot read or change
/// files, reach the network, start programs, or touch other processes: not the program, and not the
/// other workers.
///
/// What it does not protect from:
///   - the result: the program must not believe it more than it believes the input. siding checks what
///     comes back against its types (see `wire.hpp`), and not what it means.
///   - what else is shared. Descriptors that are open in the worker stay: standard output and error,
///     where it can write what it likes (also what a terminal takes for commands), and what constructors
///     of static objects have opened. It can also wake the program for nothing, and write nonsense
///     where the two exchange calls, which costs time, or that worker.
///   - what the worker has in its memory: the program's constants and what its static objects hold, and
///     the arguments and context variables of the calls that it makes, also of earlier ones. So keys do
///     not belong there; let a worker end after some calls if inputs must not learn of each other.
///   - the existence, size and times of files: `stat` works on any path.
///   - defects of the kernel, and of the processor (timing, speculation).
///   - use of memory and processors: limit it by the options of the pool. Memory that the worker shares
///     with the program, or makes as a file of memory, counts as files (RLIMIT_FSIZE).
///
/// Lifetime: a worker gets it once, before its first call, and keeps it until it ends.
/// Requires: Linux with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64. Paths need Landlock too; where it
///   is missing, a sandbox with paths is refused with std::system_error rather than left open. Where it
///   is there, it also closes what the filter has closed already, as a second lock. Without effect where
///   siding was built with a sanitizer, whose runtime needs more than is allowed.
/// See: `examples/sandboxed_parser.cpp`.
struct Sandbox {
  /// TCP and UDP. (Names are looked up with files: /etc/resolv.conf, /etc/hosts, /etc/nsswitch.conf and
  /// the libraries it names.) Not other sockets, such as those of local services.
  bool network = false;

  /// To fork and to execute programs, which are in the same sandbox, and to send signals (before Linux
  /// 6.12, to all processes of the user). A program that is linked dynamically needs readable paths:
  /// its own and those of its libraries. Memory may be code then.
  bool processes = false;

  /// Directories and files that may be read, with all that is in them. Absolute, and there when the pool
  /// is made. Not /proc, through which a process looks at others.
  std::vector<std::filesystem::path> readable;

  /// The same, where files and directories may also be made, changed, renamed and removed; not links,
  /// and not modes, owners or times. The program should read there as if it were hostile input.
  std::vector<std::filesystem::path> writable;

  friend bool operator==(const Sandbox&, const Sandbox&) = default;
};

}  // namespace siding
