// SPDX-License-Identifier: MIT
#include "zygote.hpp"

#include "live_rings.hpp"
#include "spin.hpp"
#include "worker_files.hpp"
#include "worker_region.hpp"
#include "zygote_main.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/code_identity.hpp>
#include <siding/detail/remote_exception.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace siding::detail {

namespace {

// Between the end of a zygote's socket and its own, at most.
constexpr int end_milliseconds = 1000;  // chosen

std::system_error last_error(const char* what) {
  return std::system_error(errno, std::system_category(), what);
}

std::pair<FileDescriptor, FileDescriptor> socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw last_error("making the socket of a zygote");
  }
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

/// What is undone when a spawn is over.
struct SpawnSettings {
  SpawnSettings(int socket) {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, socket, first_descriptor);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, first_descriptor + 1);
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// In time, or `other` is; negative ones are not looked at.
bool readable(int descriptor, int milliseconds, int other = -1) noexcept {
  pollfd polled[] = {{descriptor, POLLIN, 0}, {other, POLLIN, 0}};
  int ready = 0;
  do {
    ready = ::poll(polled, 2, milliseconds);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

/// What the zygotes of one process share. A forked child makes its own: a thread that the child
/// does not have may have held the parent's lock, and would hold it for ever.
struct Shared {
  explicit Shared(std::uint32_t generation) : forks(generation) {}

  /// The memory in which the spinning workers of this program are counted, threads and processes.
  /// Made with the first zygote. With the lock. Throws std::system_error.
  int spin_count_memory();

  const std::uint32_t forks;
  const Shared* inherited = nullptr;  // the parent's, which stays reachable
  std::mutex mutex;
  std::weak_ptr<Zygote> zygote;  // guarded by mutex
  FileDescriptor spin_memory;    // guarded by mutex
  Mapping spin_count;            // never unmapped: threads may spin until the program's end
};

int Shared::spin_count_memory() {
  if (!spin_memory) {
    FileDescriptor memory = make_sealed_memory("siding-spin", sizeof(std::atomic<std::uint32_t>));
    spin_count = Mapping(memory.get(), sizeof(std::atomic<std::uint32_t>));
    SpinCount::forked();
    SpinCount::share(*reinterpret_cast<std::atomic<std::uint32_t>*>(spin_count.data()));
    spin_memory = std::move(memory);
  }
  return spin_memory.get();
}

constinit std::atomic<Shared*> latest{nullptr};

// Without a lock and without the guard of a static object: another thread may fork at any point.
Shared& shared() {
  const std::uint32_t generation = fork_generation.load(std::memory_order_relaxed);
  // acquire: pairs with the release below; what it points to is visible.
  Shared* known = latest.load(std::memory_order_acquire);
  if (known != nullptr && known->forks == generation) return *known;
  auto own = std::make_unique<Shared>(generation);
  own->inherited = known;
  if (!latest.compare_exchange_strong(known, own.get(), std::memory_order_acq_rel)) return *known;
  return *own.release();
}

// Why a zygote that has answered is of no use; empty if it is.
std::string problem_with(const ZygoteReport& hello) {
  if (hello.build != code_id_of(reinterpret_cast<const void*>(&zygote_wanted)).module) {
    return "it is another build: was the file replaced while the program ran?";
  }
  return {};
}

}  // namespace

// The name behind the link, because under valgrind the link itself leads to its tool.
std::string program_image() {
  std::array<char, PATH_MAX> name;
  const ssize_t length = ::readlink("/proc/self/exe", name.data(), name.size());
  if (length <= 0) {
    throw ProcessPoolUnavailable(fmt::format(
        "the program's own file, of which worker processes are made, cannot be found: reading "
        "/proc/self/exe: {}. Mount /proc; in a chroot, inside of it: mount -t proc proc /proc",
        std::system_category().message(errno)));
  }
  std::string path(name.data(), static_cast<std::size_t>(length));
  // Replaced or removed on disk since the start: the link itself still leads to it.
  if (::access(path.c_str(), X_OK) != 0) return "/proc/self/exe";
  return path;
}

std::string text_of_status(int wait_status) {
  if (!WIFSIGNALED(wait_status)) {
    return fmt::format("ended with exit status {}", WEXITSTATUS(wait_status));
  }
  const int signal = WTERMSIG(wait_status);
  const char* name = ::sigabbrev_np(signal);
  return fmt::format("was killed by {}{}",
                     name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal),
                     WCOREDUMP(wait_status) ? " (core dumped)" : "");
}

void Zygote::check_is_no_worker() {
  if (!in_zygote()) return;
  throw ProcessPoolUnavailable(
      "this is a worker process: a process pool cannot be used inside a call that runs on one; "
      "submit from the program itself");
}

void Zygote::check_available() {
  check_is_no_worker();
  if (!hook_is_present()) {
    throw ProcessPoolUnavailable(
        "this program was linked without siding's process hook, so it cannot be started again as "
        "a worker. Link the executable with Meson's siding_dep or with `pkg-config --libs siding`, "
        "which bring the hook; in a plugin of a foreign program use a ThreadPool, or StartMethod::snapshot");
  }
}

std::shared_ptr<Zygote> Zygote::get() {
  check_available();
  watch_forks();
  Shared& all = shared();
  const std::lock_guard lock(all.mutex);
  std::shared_ptr<Zygote> found = all.zygote.lock();
  if (found == nullptr || !found->alive()) {
    found.reset(new Zygote(Origin::executed, all.spin_count_memory()));
    all.zygote = found;
  }
  return found;
}

std::shared_ptr<Zygote> Zygote::make(Origin origin) {
  if (origin == Origin::executed) {
    check_available();
  } else {
    check_is_no_worker();
  }
  watch_forks();
  Shared& all = shared();
  int spin_count = -1;
  {
    const std::lock_guard lock(all.mutex);
    spin_count = all.spin_count_memory();
  }
  return std::shared_ptr<Zygote>(new Zygote(origin, spin_count));
}

std::shared_ptr<Zygote> Zygote::of_its_own() { return make(Origin::executed); }
std::shared_ptr<Zygote> Zygote::of_snapshot() { return make(Origin::forked); }

void Zygote::require_one_thread() const {
  if (threads_ <= 1) return;
  throw ProcessPoolUnavailable(fmt::format(
      "a copy of this program for worker processes is of no use: a constructor of a static object starts a "
      "thread there ({} threads before main()), and a process with threads cannot be forked safely; start "
      "the thread in main() instead, or use StartMethod::isolated",
      threads_));
}

void Zygote::call(void (*function)()) {
  ZygoteMessage message{ZygoteRequest::call, 0, 0, code_id_of(reinterpret_cast<const void*>(function))};
  ZygoteReport report;
  std::vector<std::byte> error(largest_error);
  // No limit of time: it may load what takes minutes. A function that ends the process is seen.
  const bool answered =
      send_message(socket_.get(), &message, sizeof message, {}) &&
      readable(socket_.get(), -1, handle_.get()) &&
      receive_message(socket_.get(), &report, sizeof report, MSG_DONTWAIT).size ==
          static_cast<long>(sizeof report);
  if (!answered) {
    throw BrokenExecutor(
        "ProcessPoolOptions::init ended the process that it ran in, or closed its files");
  }
  if (report.code == 1) return;
  if (report.code > 1) {
    throw ProcessPoolUnavailable(fmt::format(
        "ProcessPoolOptions::init started a thread ({} are there now), and a process with threads cannot be "
        "forked safely; start it in ProcessPoolOptions::initializer, which runs in each worker",
        report.code));
  }
  const long size = receive_message(socket_.get(), error.data(), error.size()).size;
  error.resize(static_cast<std::size_t>(std::max(size, 0L)));
  std::rethrow_exception(decode_exception(error, pid_, "ProcessPoolOptions::init"));
}

// What is not flushed would be written by the child too.
void Zygote::fork(FileDescriptor theirs) {
  flush_output();
  pid_ = ::fork();
  if (pid_ == 0) become_zygote(theirs.get());
  if (pid_ < 0) throw last_error("forking the program for worker processes");
}

void Zygote::execute(FileDescriptor theirs) {
  // dup2 of a descriptor to itself would leave it close-on-exec.
  if (theirs.get() == first_descriptor) theirs = FileDescriptor(::dup(theirs.get()));
  const SpawnSettings settings(theirs.get());
  const std::string image = program_image();
  std::string mark = std::string(zygote_variable) + "=" + std::to_string(first_descriptor);
  std::vector<char*> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    environment.push_back(*entry);
  }
  environment.push_back(mark.data());
  environment.push_back(nullptr);
  char* const arguments[] = {program_invocation_name, nullptr};
  const int error = ::posix_spawn(&pid_, image.c_str(), &settings.actions, &settings.attributes,
                                  arguments, environment.data());
  if (error != 0) {
    throw std::system_error(error, std::system_category(),
                            fmt::format("starting {} again for worker processes", image));
  }
}

Zygote::Zygote(Origin origin, int spin_count_memory)
    : forks_(fork_generation.load(std::memory_order_relaxed)) {
  auto [ours, theirs] = socket_pair();
  if (origin == Origin::forked) {
    fork(std::move(theirs));
  } else {
    execute(std::move(theirs));
  }
  handle_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  socket_ = std::move(ours);
  ZygoteReport hello;
  const ZygoteMessage greeting{ZygoteRequest::hello, 0, 0, {}};
  const int passed[] = {spin_count_memory};
  send_message(socket_.get(), &greeting, sizeof greeting, passed);
  // The handle too: a child that another thread forks meanwhile may hold the socket's other end.
  const bool in_time =
      readable(socket_.get(), static_cast<int>(zygote_start_limit.count()), handle_.get());
  const bool answered =
      in_time && receive_message(socket_.get(), &hello, sizeof hello, MSG_DONTWAIT).size ==
                     static_cast<long>(sizeof hello);
  std::string problem;
  if (answered) {
    problem = problem_with(hello);
    threads_ = hello.code;
    if (problem.empty()) return;
  }
  const bool lives = !in_time || answered || !readable(handle_.get(), end_milliseconds);
  if (lives) kill();
  const std::optional<int> status = end();
  if (!in_time) {
    problem = fmt::format(
        "it did not answer within {:g} s: do constructors of static objects take that long?",
        std::chrono::duration<double>(zygote_start_limit).count());
  } else if (!answered && lives) {
    problem = "before main() it closed a file that it was given: does a constructor of a static "
              "object close files that it has not opened?";
  } else if (!answered) {
    problem = fmt::format(
        "before main() it {}. Does a constructor of a static object end the program? Did the "
        "dynamic loader not find a library, as with a relative LD_LIBRARY_PATH after chdir()? Then "
        "make it absolute. Was the program started through ld-linux.so by hand? Then start it itself",
        status.has_value() ? text_of_status(*status) : "ended");
  }
  throw ProcessPoolUnavailable(
      fmt::format("a copy of this program for worker processes is of no use: {}", problem));
}

Zygote::~Zygote() { end(); }

bool Zygote::inherited() const noexcept {
  return forks_ != fork_generation.load(std::memory_order_relaxed);
}

void Zygote::kill() noexcept {
  if (handle_) {
    ::syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
  } else {
    ::kill(pid_, SIGKILL);  // under valgrind 3.19
  }
}

std::optional<int> Zygote::end() noexcept {
  if (inherited()) return std::nullopt;  // the parent's
  disconnect(std::move(socket_));
  // By its handle, so that no other wait of the program is disturbed; if the program ignores SIGCHLD
  // or collects every child, it is gone when the handle says so.
  if (handle_) readable(handle_.get(), -1);
  int status = 0;
  pid_t waited = 0;
  do {
    waited = ::waitpid(pid_, &status, 0);
  } while (waited < 0 && errno == EINTR);
  return waited == pid_ ? std::optional(status) : std::nullopt;
}

FileDescriptor Zygote::connect() {
  auto [ours, theirs] = socket_pair();
  const ZygoteMessage message{ZygoteRequest::connect, 0, 0, {}};
  const int passed[] = {theirs.get()};
  if (!send_message(socket_.get(), &message, sizeof message, passed)) {
    throw last_error("asking the zygote");
  }
  return std::move(ours);
}

void Zygote::disconnect(FileDescriptor connection) noexcept {
  const ZygoteMessage message{ZygoteRequest::end, 0, 0, {}};
  // Fails only if the zygote is gone.
  if (connection) send_message(connection.get(), &message, sizeof message, {});
}

bool Zygote::alive() const noexcept { return !readable(handle_.get(), 0); }

}  // namespace siding::detail
