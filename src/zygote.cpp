// SPDX-License-Identifier: MIT
#include "zygote.hpp"

#include "live_rings.hpp"
#include "spin.hpp"
#include "worker_region.hpp"
#include "zygote_main.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/code_identity.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace siding::detail {

namespace {

// Where a zygote finds its socket; everything above is closed in it.
constexpr int socket_number = 3;

constexpr int start_limit_milliseconds = 10'000;  // chosen: static constructors may take long

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

// The name behind the link, because under valgrind the link itself leads to its tool.
std::string own_image() {
  std::array<char, PATH_MAX> name;
  const ssize_t length = ::readlink("/proc/self/exe", name.data(), name.size());
  if (length <= 0) throw last_error("finding the program's own file (/proc/self/exe)");
  std::string path(name.data(), static_cast<std::size_t>(length));
  // Replaced or removed on disk since the start: the link itself still leads to it.
  if (::access(path.c_str(), X_OK) != 0) return "/proc/self/exe";
  return path;
}

/// What is undone when a spawn is over.
struct SpawnSettings {
  SpawnSettings(int socket) {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, socket, socket_number);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, socket_number + 1);
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

bool readable(int descriptor, int milliseconds) noexcept {
  pollfd polled{descriptor, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&polled, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

/// The memory in which the spinning workers of this program are counted, threads and processes. Made
/// with the first zygote, kept for good. Throws std::system_error.
int spin_count_memory() {
  static const int descriptor = [] {
    FileDescriptor memory = make_sealed_memory("siding-spin", sizeof(std::atomic<std::uint32_t>));
    // Never unmapped: threads may spin until the program's end.
    static Mapping* const mapping =
        new Mapping(memory.get(), sizeof(std::atomic<std::uint32_t>));
    SpinCount::forked();
    SpinCount::share(*reinterpret_cast<std::atomic<std::uint32_t>*>(mapping->data()));
    return memory.release();
  }();
  return descriptor;
}

std::mutex zygote_mutex;
std::weak_ptr<Zygote> zygote;

}  // namespace

void Zygote::check_available() {
  if (in_zygote()) {
    throw ProcessPoolUnavailable(
        "this is a worker process: a process pool cannot be used inside a call that runs on one; "
        "submit from the program itself");
  }
  if (!hook_is_present()) {
    throw ProcessPoolUnavailable(
        "this program was linked without siding's process hook, so it cannot be started again as "
        "a worker. Link the executable with Meson's siding_dep or with `pkg-config --libs siding`, "
        "which bring the hook; in a plugin of a foreign program use a ThreadPool");
  }
}

std::shared_ptr<Zygote> Zygote::get() {
  check_available();
  const std::lock_guard lock(zygote_mutex);
  std::shared_ptr<Zygote> found = zygote.lock();
  if (found == nullptr || found->inherited() || !found->alive()) {
    found.reset(new Zygote);
    zygote = found;
  }
  return found;
}

Zygote::Zygote() : forks_(fork_generation.load(std::memory_order_relaxed)) {
  watch_forks();
  auto [ours, theirs] = socket_pair();
  // dup2 of a descriptor to itself would leave it close-on-exec.
  if (theirs.get() == socket_number) theirs = FileDescriptor(::dup(theirs.get()));
  const SpawnSettings settings(theirs.get());
  const std::string image = own_image();
  std::string mark = std::string(zygote_variable) + "=" + std::to_string(socket_number);
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
  handle_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  socket_ = std::move(ours);
  theirs = FileDescriptor();
  ZygoteReport hello;
  const ZygoteMessage greeting{ZygoteRequest::hello, 0};
  const int shared[] = {spin_count_memory()};
  send_message(socket_.get(), &greeting, sizeof greeting, shared);
  const bool answered = readable(socket_.get(), start_limit_milliseconds) &&
                        receive_message(socket_.get(), &hello, sizeof hello).size ==
                            static_cast<long>(sizeof hello);
  std::string problem;
  if (!answered) {
    problem = "it ended, or did not answer, before main()";
  } else if (hello.build != code_id_of(reinterpret_cast<const void*>(&zygote_wanted)).module) {
    problem = "it is another build: was the file replaced while the program ran?";
  } else if (hello.code > 1) {
    problem = fmt::format(
        "a constructor of a static object starts a thread there ({} threads before main()), and a "
        "process with threads cannot be forked safely; start the thread in main() instead",
        hello.code);
  }
  if (!problem.empty()) {
    ::kill(pid_, SIGKILL);
    end();
    throw ProcessPoolUnavailable(
        fmt::format("a copy of this program for worker processes is of no use: {}", problem));
  }
}

Zygote::~Zygote() { end(); }

bool Zygote::inherited() const noexcept {
  return forks_ != fork_generation.load(std::memory_order_relaxed);
}

void Zygote::end() noexcept {
  if (inherited()) return;  // the parent's
  socket_ = FileDescriptor();  // its sign to end
  // By its handle, so that no other wait of the program is disturbed; if the program ignores SIGCHLD
  // or collects every child, it is gone when the handle says so.
  if (handle_) readable(handle_.get(), -1);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

FileDescriptor Zygote::connect() {
  auto [ours, theirs] = socket_pair();
  const ZygoteMessage message{ZygoteRequest::connect, 0};
  const int passed[] = {theirs.get()};
  if (!send_message(socket_.get(), &message, sizeof message, passed)) {
    throw last_error("asking the zygote");
  }
  return std::move(ours);
}

bool Zygote::alive() const noexcept { return !readable(handle_.get(), 0); }

}  // namespace siding::detail
