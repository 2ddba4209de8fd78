// SPDX-License-Identifier: MIT
#include "zygote_main.hpp"

#include "spin.hpp"
#include "worker_process.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/code_identity.hpp>
#include <siding/detail/sanitizers.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <utility>
#include <vector>

// The inside of a zygote: everything here runs in the re-executed copy, on its only thread, and
// ends with _exit, so that no destructor of the program's static objects runs in it.

namespace siding::detail {

namespace {

int zygote_socket = -1;  // set by zygote_wanted() in a zygote

constexpr int ok = 0;

int count_threads() noexcept {
  // The thread sanitizer keeps one of its own.
  if (SIDING_SANITIZED) return 1;
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return 1;
  int count = 0;
  while (const dirent* entry = ::readdir(tasks)) count += entry->d_name[0] != '.';
  ::closedir(tasks);
  return count;
}

// Never unmapped: the workers use it too.
void share_spin_count(int memory) noexcept {
  void* page = ::mmap(nullptr, sizeof(std::atomic<std::uint32_t>), PROT_READ | PROT_WRITE,
                      MAP_SHARED, memory, 0);
  if (page != MAP_FAILED) SpinCount::share(*static_cast<std::atomic<std::uint32_t>*>(page));
}

class ZygoteProcess {
 public:
  explicit ZygoteProcess(int socket) : main_(socket) {}

  [[noreturn]] void serve();

 private:
  struct Worker {
    pid_t pid;
    std::uint32_t token;
    int pool;  // the socket that asked for it
  };

  void answer_hello();
  void serve_main();
  bool serve_pool(int pool);
  void spawn(int pool, const ZygoteMessage& message, Received& received);
  [[noreturn]] void become_worker(Received& received);
  void reap();
  void leave_pool(int pool);
  [[noreturn]] void end() noexcept;

  const int main_;
  const pid_t self_ = ::getpid();
  int program_ = -1;  // a pidfd
  int children_ = -1;  // a signalfd
  std::vector<int> pools_;
  std::vector<Worker> workers_;
};

void ZygoteProcess::answer_hello() {
  ZygoteReport report;
  report.answer = ZygoteAnswer::hello;
  report.pid = ::getpid();
  report.code = count_threads();
  report.build = code_id_of(reinterpret_cast<const void*>(&zygote_wanted)).module;
  send_message(main_, &report, sizeof report, {});
}

void ZygoteProcess::serve_main() {
  ZygoteMessage message;
  Received received = receive_message(main_, &message, sizeof message);
  if (received.size != static_cast<long>(sizeof message)) end();
  if (message.request == ZygoteRequest::end) end();
  if (message.request == ZygoteRequest::hello && received.count == 1) {
    share_spin_count(received.descriptors[0].get());
  } else if (message.request == ZygoteRequest::connect && received.count == 1) {
    pools_.push_back(received.descriptors[0].release());
  }
}

bool ZygoteProcess::serve_pool(int pool) {
  ZygoteMessage message;
  Received received = receive_message(pool, &message, sizeof message);
  if (received.size != static_cast<long>(sizeof message)) return false;
  if (message.request == ZygoteRequest::end) return false;
  if (message.request == ZygoteRequest::spawn && received.count >= 2) {
    spawn(pool, message, received);
  }
  return true;
}

void ZygoteProcess::spawn(int pool, const ZygoteMessage& message, Received& received) {
  const pid_t pid = ::fork();
  if (pid == 0) become_worker(received);
  ZygoteReport report;
  report.answer = ZygoteAnswer::started;
  report.token = message.token;
  report.pid = pid;
  if (pid < 0) {
    report.code = errno;
    send_message(pool, &report, sizeof report, {});
    return;
  }
  workers_.push_back({pid, message.token, pool});
  const FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int passed[] = {handle.get()};
  send_message(pool, &report, sizeof report,
               std::span<const int>(passed, handle ? std::size_t{1} : std::size_t{0}));
}

void ZygoteProcess::become_worker(Received& received) {
  // Ends with the zygote, which ends with the program. The zygote may have ended already.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != self_) ::_exit(ok);
  SpinCount::forked();
  for (const int socket : pools_) ::close(socket);
  ::close(main_);
  ::close(program_);
  ::close(children_);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<FileDescriptor> events;
  for (std::size_t i = 2; i < received.count; ++i) {
    events.push_back(std::move(received.descriptors[i]));
  }
  run_worker(std::move(received.descriptors[0]), std::move(received.descriptors[1]),
             std::move(events));
}

void ZygoteProcess::reap() {
  signalfd_siginfo ignored;
  while (::read(children_, &ignored, sizeof ignored) > 0) {
  }
  for (;;) {
    int status = 0;
    rusage usage{};
    const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0) return;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].pid != pid) continue;
      ZygoteReport report;
      report.answer = ZygoteAnswer::exited;
      report.token = workers_[i].token;
      report.pid = pid;
      report.code = status;
      report.max_rss_kib = usage.ru_maxrss;
      report.user_microseconds = usage.ru_utime.tv_sec * 1'000'000 + usage.ru_utime.tv_usec;
      report.system_microseconds = usage.ru_stime.tv_sec * 1'000'000 + usage.ru_stime.tv_usec;
      if (workers_[i].pool >= 0) send_message(workers_[i].pool, &report, sizeof report, {});
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
  }
}

// A pool has ended, or is gone without having ended its workers.
void ZygoteProcess::leave_pool(int pool) {
  for (Worker& worker : workers_) {
    if (worker.pool != pool) continue;
    ::kill(worker.pid, SIGKILL);
    worker.pool = -1;
  }
  ::close(pool);
  std::erase(pools_, pool);
}

void ZygoteProcess::end() noexcept {
  for (const Worker& worker : workers_) ::kill(worker.pid, SIGKILL);
  while (::wait4(-1, nullptr, 0, nullptr) > 0 || errno == EINTR) {
  }
  ::_exit(ok);
}

void ZygoteProcess::serve() {
  ::prctl(PR_SET_NAME, "siding-zygote");
  // The terminal's interrupt is for the program, which ends its workers itself.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  const int nowhere = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nowhere >= 0) ::dup2(nowhere, STDIN_FILENO);
  // What the constructors of static objects wrote is written once, and not by each worker.
  std::fflush(nullptr);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  children_ = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  // Beside the socket, whose other end a forked child of the program may hold open.
  program_ = static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0));
  answer_hello();
  std::vector<pollfd> polled;
  for (;;) {
    polled.clear();
    polled.push_back({main_, POLLIN, 0});
    polled.push_back({program_, POLLIN, 0});
    polled.push_back({children_, POLLIN, 0});
    for (const int pool : pools_) polled.push_back({pool, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[1].revents != 0) end();
    if (polled[2].revents != 0) reap();
    for (std::size_t i = 3; i < polled.size(); ++i) {
      if (polled[i].revents != 0 && !serve_pool(polled[i].fd)) leave_pool(polled[i].fd);
    }
    if (polled[0].revents != 0) serve_main();
  }
}

// Whether the descriptor is what a program hands to its zygote.
bool is_zygote_socket(int descriptor) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
         type == SOCK_SEQPACKET;
}

}  // namespace

bool zygote_wanted() noexcept {
  if (::getauxval(AT_SECURE) != 0) return false;
  const char* value = std::getenv(zygote_variable);
  if (value == nullptr) return false;
  int socket = -1;
  const auto [end, error] = std::from_chars(value, value + std::strlen(value), socket);
  const bool valid = error == std::errc() && *end == '\0' && is_zygote_socket(socket);
  ::unsetenv(zygote_variable);  // not for the programs that workers start
  if (!valid) return false;
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  zygote_socket = socket;
  return true;
}

void serve_zygote() noexcept {
  ZygoteProcess zygote(zygote_socket);
  zygote.serve();
}

namespace {
bool present = false;
}

void note_hook() noexcept { present = true; }
bool hook_is_present() noexcept { return present; }
bool in_zygote() noexcept { return zygote_socket >= 0; }

}  // namespace siding::detail
