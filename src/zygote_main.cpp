// SPDX-License-Identifier: MIT
#include "zygote_main.hpp"

#include "executed_worker.hpp"
#include "spin.hpp"
#include "worker_process.hpp"
#include "worker_region.hpp"
#include "zygote.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/code_identity.hpp>
#include <siding/detail/remote_exception.hpp>
#include <siding/detail/sanitizers.hpp>
#include <siding/detail/scheduler.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

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

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <dirent.h>
#include <utility>
#include <vector>

// The inside of a zygote: everything here runs in the copy of the program, on its only thread, and
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

class ZygoteProcess {
 public:
  ZygoteProcess(int socket, bool is_fork) : main_(socket), is_fork_(is_fork) {}

  [[noreturn]] void serve();

 private:
  struct Worker {
    pid_t pid;
    std::uint32_t token;
    int pool;  // the socket that asked for it
    bool group;  // its process group ends with it
    FileDescriptor handle;  // a pidfd
  };

  void answer_hello();
  void serve_main();
  bool serve_pool(int pool);
  void spawn(int pool, const ZygoteMessage& message, Received& received);
  [[noreturn]] void become_worker(Received& received, std::uint32_t flags);
  void call(const ZygoteMessage& message);
  void reap();
  static void kill(const Worker& worker) noexcept;
  void leave_pool(int pool);
  [[noreturn]] void end() noexcept;

  const int main_;
  const bool is_fork_;
  int spin_count_ = -1;
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
    spin_count_ = received.descriptors[0].release();
  } else if (message.request == ZygoteRequest::call) {
    call(message);
  } else if (message.request == ZygoteRequest::connect && received.count == 1) {
    pools_.push_back(received.descriptors[0].release());
  }
}

bool ZygoteProcess::serve_pool(int pool) {
  ZygoteMessage message;
  Received received = receive_message(pool, &message, sizeof message);
  if (received.size != static_cast<long>(sizeof message)) return false;
  if (message.request == ZygoteRequest::end) return false;
  if (message.request == ZygoteRequest::spawn && received.count >= 3) {
    spawn(pool, message, received);
  }
  return true;
}

void ZygoteProcess::call(const ZygoteMessage& message) {
  ZygoteReport report;
  report.answer = ZygoteAnswer::called;
  std::vector<std::byte> error;
  try {
    const auto function = reinterpret_cast<void (*)()>(const_cast<void*>(code_at(message.code)));
    function();
    std::fflush(nullptr);  // once, and not by each worker
    report.code = count_threads();
  } catch (...) {
    report.code = -1;
    error = encode_exception(std::current_exception());
    if (error.size() > largest_error) {
      error = encode_exception(std::make_exception_ptr(
          BrokenExecutor("ProcessPoolOptions::init threw an error that is too large to be told")));
    }
  }
  send_message(main_, &report, sizeof report, {});
  if (!error.empty()) send_message(main_, error.data(), error.size(), {});
}

void ZygoteProcess::spawn(int pool, const ZygoteMessage& message, Received& received) {
  const bool isolated = (message.flags & spawn_isolated) != 0;
  WorkerExecution execution;
  if (isolated) execution = prepare_execution(received, message.flags);
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Ends with the zygote, which ends with the program. The zygote may have ended already.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != self_) ::_exit(ok);
    if ((message.flags & spawn_group) != 0) ::setpgid(0, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (isolated) execute_worker(execution, received, spin_count_);
    become_worker(received, message.flags);
  }
  ZygoteReport report;
  report.answer = ZygoteAnswer::started;
  report.token = message.token;
  report.pid = pid;
  if (pid < 0) {
    report.code = errno;
    send_message(pool, &report, sizeof report, {});
    return;
  }
  FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int passed[] = {handle.get()};
  send_message(pool, &report, sizeof report,
               std::span<const int>(passed, handle ? std::size_t{1} : std::size_t{0}));
  workers_.push_back({pid, message.token, pool, (message.flags & spawn_group) != 0, std::move(handle)});
}

void ZygoteProcess::become_worker(Received& received, std::uint32_t flags) {
  SpinCount::forked();
  for (const int socket : pools_) ::close(socket);
  ::close(main_);
  ::close(program_);
  ::close(children_);
  ::close(spin_count_);
  workers_.clear();
  std::vector<FileDescriptor> given;
  for (std::size_t i = 0; i < received.count; ++i) given.push_back(std::move(received.descriptors[i]));
  run_worker(WorkerDescriptors(std::move(given), flags));
}

void ZygoteProcess::kill(const Worker& worker) noexcept {
  ::kill(worker.pid, SIGKILL);
  if (worker.group) ::kill(-worker.pid, SIGKILL);
}

void ZygoteProcess::reap() {
  signalfd_siginfo ignored;
  while (::read(children_, &ignored, sizeof ignored) > 0) {
  }
  for (;;) {
    siginfo_t dead{};
    if (::waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0) return;
    const auto found = std::find_if(workers_.begin(), workers_.end(),
                                    [&dead](const Worker& worker) { return worker.pid == dead.si_pid; });
    // Before its number, and with it that of its group, may be given to another.
    if (found != workers_.end() && found->group) ::kill(-found->pid, SIGKILL);
    int status = 0;
    rusage usage{};
    if (::wait4(dead.si_pid, &status, 0, &usage) < 0 || found == workers_.end()) continue;
    ZygoteReport report;
    report.answer = ZygoteAnswer::exited;
    report.token = found->token;
    report.pid = found->pid;
    report.code = status;
    report.max_rss_kib = usage.ru_maxrss;
    report.user_microseconds = usage.ru_utime.tv_sec * 1'000'000 + usage.ru_utime.tv_usec;
    report.system_microseconds = usage.ru_stime.tv_sec * 1'000'000 + usage.ru_stime.tv_usec;
    if (found->pool >= 0) send_message(found->pool, &report, sizeof report, {});
    workers_.erase(found);
  }
}

// A pool has ended, or is gone without having ended its workers.
void ZygoteProcess::leave_pool(int pool) {
  for (Worker& worker : workers_) {
    if (worker.pool != pool) continue;
    kill(worker);
    worker.pool = -1;
  }
  ::close(pool);
  std::erase(pools_, pool);
}

void ZygoteProcess::end() noexcept {
  for (const Worker& worker : workers_) kill(worker);
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
  // What the constructors of static objects wrote is written once, and not by each worker. What a
  // program had in its buffers is the program's.
  if (!is_fork_) std::fflush(nullptr);
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
    const std::size_t pools_end = polled.size();
    // Beside SIGCHLD, which a thread of a static object may get in place of this one.
    for (const Worker& worker : workers_) polled.push_back({worker.handle.get(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[1].revents != 0) end();
    const auto ready = [](const pollfd& of) { return of.revents != 0; };
    if (polled[2].revents != 0 || std::any_of(polled.begin() + static_cast<std::ptrdiff_t>(pools_end),
                                              polled.end(), ready)) {
      reap();
    }
    for (std::size_t i = 3; i < pools_end; ++i) {
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
  const std::string_view text(value);
  int socket = first_descriptor;
  bool valid = executed_worker_wanted(text);
  if (!valid) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), socket);
    valid = error == std::errc() && end == text.data() + text.size() && is_zygote_socket(socket);
  }
  ::unsetenv(zygote_variable);  // not for the programs that workers start
  if (!valid) return false;
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  zygote_socket = socket;
  return true;
}

void serve_zygote() noexcept {
  serve_executed_worker();  // if it is one
  ZygoteProcess zygote(zygote_socket, false);
  zygote.serve();
}

void become_zygote(int socket) noexcept {
  // The forking thread was perhaps a loop's; here is none.
  current_scheduler = nullptr;
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (socket != first_descriptor) ::dup2(socket, first_descriptor);
  ::fcntl(first_descriptor, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, first_descriptor + 1, ~0U, 0);
  zygote_socket = first_descriptor;
  ZygoteProcess zygote(zygote_socket, true);
  zygote.serve();
}

namespace {
bool present = false;
}

void note_hook() noexcept { present = true; }
bool hook_is_present() noexcept { return present; }
bool in_zygote() noexcept { return zygote_socket >= 0; }

}  // namespace siding::detail
