// SPDX-License-Identifier: MIT
#include "sandbox.hpp"

#include "crash_page.hpp"
#include "crash_watch.hpp"
#include "landlock.hpp"

#include "support/child.hpp"

#include <siding/detail/sanitizers.hpp>
#include <siding/wire.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <source_location>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace siding_test::sandbox_test {
namespace {

using siding::Sandbox;
using siding::detail::apply_sandbox;
using siding::detail::check_sandbox;
namespace files = std::filesystem;

// A sanitizer's runtime opens /proc/self/maps, forks and more: there is no sandbox then.
constexpr bool sanitized = SIDING_SANITIZED != 0;
constexpr const char* own_needs = "no sandbox under a sanitizer; a test of paths also needs Landlock";

/// Memory that the children share with the test.
template <class Value>
class Shared {
 public:
  Shared()
      : memory_(::mmap(nullptr, sizeof(Value), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(memory_, sizeof(Value)); }

  Value& operator*() const noexcept { return *static_cast<Value*>(memory_); }

 private:
  void* memory_;
};

/// Checks that count in a child: remembers the line of the first that failed.
class Needs {
 public:
  explicit Needs(std::atomic<unsigned>& line) : line_(line) {}

  void operator()(bool fulfilled,
                  std::source_location where = std::source_location::current()) const {
    unsigned none = 0;
    if (!fulfilled) line_.compare_exchange_strong(none, where.line());
  }
  /// That a system call failed as one does that is not allowed.
  void refused(long result,
               std::source_location where = std::source_location::current()) const {
    (*this)(result == -1 && errno == EPERM, where);
  }
  /// The same by Landlock.
  void closed(long result, std::source_location where = std::source_location::current()) const {
    (*this)(result == -1 && (errno == EACCES || errno == EXDEV || errno == EPERM), where);
  }

 private:
  std::atomic<unsigned>& line_;
};

// The line of the first need that was not fulfilled in a sandboxed child, or 0. A child that ends
// otherwise counts as the line 1'000'000 and its status.
template <class Body>
unsigned failed_line(const Sandbox& sandbox, Body body) {
  const Shared<std::atomic<unsigned>> line;
  const int status = status_in_child([&] {
    apply_sandbox(sandbox);
    body(Needs(*line));
    return 0;
  });
  return status == 0 ? (*line).load() : 1'000'000 + static_cast<unsigned>(status);
}

/// A directory that is gone at the end, with an inside and an outside.
struct Directories {
  Directories() {
    char name[] = "/tmp/siding-sandbox-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
    for (const char* folder : {"readable", "writable", "outside"}) {
      files::create_directory(root / folder);
      std::ofstream(root / folder / "file") << folder;
    }
  }
  ~Directories() { files::remove_all(root); }

  Sandbox sandbox() const {
    Sandbox sandbox;
    sandbox.readable = {root / "readable"};
    sandbox.writable = {root / "writable"};
    return sandbox;
  }
  files::path root;
};

int open_and_close(const files::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags, 0600);
  if (descriptor >= 0) ::close(descriptor);
  return descriptor < 0 ? -1 : 0;
}

bool has_landlock(int version = 1) { return siding::detail::landlock_version() >= version; }

std::string message_of(const Sandbox& sandbox) {
  try {
    check_sandbox(sandbox);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_SUITE("Sandbox") {
  TEST_CASE("it crosses to another process") {
    static_assert(siding::Portable<Sandbox>);
    const Directories directories;
    Sandbox sandbox = directories.sandbox();
    sandbox.network = true;
    CHECK(siding::from_wire<Sandbox>(siding::to_wire(sandbox)) == sandbox);
  }

  TEST_CASE("one that cannot be had is refused with what to do") {
    check_sandbox({});
    Sandbox relative;
    relative.readable = {"data"};
    CHECK_THROWS_AS(check_sandbox(relative), std::invalid_argument);
    CHECK(message_of(relative).find("std::filesystem::absolute") != std::string::npos);
    Sandbox missing;
    missing.writable = {"/nowhere/at/all"};
    CHECK_THROWS_AS(check_sandbox(missing), std::system_error);
    CHECK(message_of(missing).find("/nowhere/at/all") != std::string::npos);
  }

  TEST_CASE("paths are refused where the kernel has no Landlock") {
    // A filter of this child stands for such a kernel: its call answers as if it were not there.
    const Directories directories;
    const int status = status_in_child([&] {
      sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
      const sock_fprog program{4, code};
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
          ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
        return 1;
      }
      if (message_of(directories.sandbox()).find("Landlock") == std::string::npos) return 2;
      // One without paths is closed by the filter alone.
      check_sandbox({});
      if (sanitized) return 0;
      apply_sandbox({});
      if (open_and_close("/etc/passwd", O_RDONLY) != -1 || errno != EPERM) return 3;
      return 0;
    });
    CHECK(status == 0);
  }

  TEST_CASE("a process with several threads is not sandboxed by halves" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    const int status = status_in_child([] {
      std::thread other([] { ::pause(); });
      other.detach();
      try {
        apply_sandbox({});
      } catch (const std::system_error& error) {
        return error.code().value() == EBUSY ? 0 : 1;
      }
      return 2;
    });
    CHECK(status == 0);
  }

  TEST_CASE("files, sockets, programs and other processes are closed" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    const pid_t parent = ::getpid();
    const unsigned failed = failed_line({}, [parent](const Needs& needs) {
      needs.refused(open_and_close("/etc/passwd", O_RDONLY));
      needs.refused(open_and_close("/tmp/siding-made-in-sandbox", O_RDWR | O_CREAT));
      needs.refused(::mkdir("/tmp/siding-made-in-sandbox", 0700));
      needs.refused(::unlink("/tmp/siding-nothing"));
      needs.refused(::symlink("/etc/passwd", "/tmp/siding-made-in-sandbox"));
      needs.refused(::rename("/tmp/siding-nothing", "/tmp/siding-other"));
      needs.refused(::chmod("/tmp", 0777));
      needs.refused(::truncate("/tmp/siding-nothing", 0));
      needs.refused(::chdir("/"));
      needs.refused(::socket(AF_INET, SOCK_STREAM, 0));
      needs.refused(::socket(AF_UNIX, SOCK_STREAM, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      needs.refused(::connect(0, reinterpret_cast<sockaddr*>(&address), sizeof address));
      int pair[2];
      needs.refused(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
      needs.refused(::fork());
      needs.refused(::vfork());
      char name[] = "/bin/true";
      char* arguments[] = {name, nullptr};
      needs.refused(::execv(name, arguments));
      needs(::system("true") != 0);
      pid_t started = 0;
      needs(::posix_spawn(&started, name, nullptr, nullptr, arguments, nullptr) == EPERM);
      needs.refused(::kill(parent, 0));
      needs.refused(::kill(-1, 0));
      needs.refused(static_cast<long>(::syscall(SYS_tgkill, parent, parent, 0)));
      needs.refused(::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr));
      char byte = 0;
      const iovec own{&byte, 1};
      needs.refused(::process_vm_readv(parent, &own, 1, &own, 1, 0));
      needs.refused(::syscall(SYS_pidfd_open, parent, 0));
      needs.refused(::syscall(SYS_pidfd_getfd, 0, 0, 0));
      needs.refused(::unshare(CLONE_NEWUSER));
      needs.refused(::syscall(SYS_setns, 0, 0));
      needs.refused(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0));
      needs.refused(::syscall(SYS_io_uring_setup, 8, nullptr));
      needs.refused(::syscall(SYS_bpf, 0, nullptr, 0));
      needs.refused(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
      needs.refused(::syscall(SYS_userfaultfd, 0));
      needs.refused(::syscall(SYS_keyctl, 0, 0));
      needs.refused(::syscall(SYS_mount, nullptr, nullptr, nullptr, 0, nullptr));
      needs.refused(::setuid(1));
      needs.refused(::setpriority(PRIO_PROCESS, static_cast<id_t>(parent), 5));
      const rlimit limit{1000, 1000};
      needs.refused(::setrlimit(RLIMIT_NOFILE, &limit));
      needs.refused(::prlimit(parent, RLIMIT_NOFILE, nullptr, nullptr));
      // Which would have the kernel send signals to it.
      needs.refused(::fcntl(0, F_SETOWN, parent));
      needs.refused(::fcntl(0, F_SETSIG, SIGKILL));
      char letter = 'x';
      needs.refused(::ioctl(0, TIOCSTI, &letter));
      needs.refused(::prctl(PR_SET_DUMPABLE, 0));
      needs.refused(::madvise(nullptr, 0, MADV_HWPOISON));
    });
    CHECK(failed == 0);
  }

  TEST_CASE("no memory becomes code" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    const unsigned failed = failed_line({}, [](const Needs& needs) {
      void* code = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      needs(code == MAP_FAILED && errno == EPERM);
      void* data = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      needs(data != MAP_FAILED);
      needs.refused(::mprotect(data, 4096, PROT_READ | PROT_EXEC));
      needs.refused(::syscall(SYS_pkey_mprotect, data, 4096, PROT_EXEC, -1));
    });
    CHECK(failed == 0);
  }

  TEST_CASE("what a function and the worker need still works" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const int event = ::eventfd(0, EFD_NONBLOCK);
    const unsigned failed = failed_line({}, [&](const Needs& needs) {
      // Memory, also a lot of it, and on other threads.
      std::vector<std::vector<char>> blocks;
      for (std::size_t size = 1; size < (std::size_t{64} << 20); size *= 4) {
        blocks.emplace_back(size, 'x');
      }
      blocks.clear();
      std::atomic<int> sum = 0;
      std::mutex mutex;
      std::vector<std::thread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
          const std::string text(100'000, 'y');
          const std::lock_guard lock(mutex);
          sum += static_cast<int>(text.size());
        });
      }
      for (std::thread& thread : threads) thread.join();
      needs(sum == 800'000);
      needs(std::thread::hardware_concurrency() > 0);
      // Exceptions.
      try {
        throw std::runtime_error("text");
      } catch (const std::exception& error) {
        needs(std::string(error.what()) == "text");
      }
      // Streams.
      needs(::dup2(pipe[1], STDOUT_FILENO) == STDOUT_FILENO);
      needs(std::printf("printed %d\n", 7) > 0 && std::fflush(stdout) == 0);
      // Clocks, sleep, random numbers, signals of its own.
      std::this_thread::sleep_for(std::chrono::microseconds(10));
      needs(::clock_gettime(CLOCK_REALTIME, std::make_unique<timespec>().get()) == 0);
      std::uint64_t random = 0;
      needs(::syscall(SYS_getrandom, &random, sizeof random, 0) == sizeof random);
      static volatile sig_atomic_t seen = 0;
      ::signal(SIGUSR1, [](int) { seen = 1; });
      needs(::raise(SIGUSR1) == 0 && seen == 1);
      needs(::kill(::getpid(), SIGUSR1) == 0);
      // What the worker itself does.
      needs(::prctl(PR_SET_NAME, "sandboxed") == 0);
      const std::uint64_t one = 1;
      needs(::write(event, &one, sizeof one) == sizeof one);
      const int high = ::fcntl(event, F_DUPFD_CLOEXEC, 500);
      needs(high >= 500 && ::close(high) == 0);
      rlimit limit{};
      needs(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
      const int memory = ::memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      needs(memory >= 0 && ::ftruncate(memory, 8192) == 0);
      needs(::fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
      struct stat status {};
      needs(::fstat(memory, &status) == 0 && status.st_size == 8192);
      void* mapped = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
      needs(mapped != MAP_FAILED && ::madvise(mapped, 8192, MADV_REMOVE) == 0);
      pollfd polled{memory, POLLIN, 0};
      needs(::poll(&polled, 1, 0) >= 0);
      msghdr message{};
      needs(::recvmsg(memory, &message, MSG_DONTWAIT) == -1 && errno == ENOTSOCK);
    });
    CHECK(failed == 0);
    char text[32]{};
    CHECK(::read(pipe[0], text, sizeof text) == 10);
    CHECK(std::string(text) == "printed 7\n");
    for (const int descriptor : {pipe[0], pipe[1], event}) ::close(descriptor);
  }

  TEST_CASE("the files that it names can be used, and no others" *
            doctest::skip(sanitized || !has_landlock(2)) * doctest::description(own_needs)) {
    const Directories directories;
    const files::path& root = directories.root;
    check_sandbox(directories.sandbox());
    const unsigned failed = failed_line(directories.sandbox(), [&root](const Needs& needs) {
      std::string text;
      std::ifstream(root / "readable/file") >> text;
      needs(text == "readable");
      needs(files::directory_iterator(root / "readable") != files::directory_iterator());
      needs.closed(open_and_close(root / "readable/file", O_WRONLY));
      needs.closed(open_and_close(root / "readable/file", O_RDONLY | O_TRUNC));
      needs.closed(open_and_close(root / "readable/new", O_RDWR | O_CREAT));
      needs.closed(::unlink((root / "readable/file").c_str()));

      needs(open_and_close(root / "writable/file", O_RDWR) == 0);
      needs(open_and_close(root / "writable/new", O_RDWR | O_CREAT | O_TRUNC) == 0);
      needs(::mkdir((root / "writable/folder").c_str(), 0700) == 0);
      needs(::rename((root / "writable/new").c_str(),
                     (root / "writable/folder/new").c_str()) == 0);
      needs(::unlink((root / "writable/folder/new").c_str()) == 0);
      needs(::rmdir((root / "writable/folder").c_str()) == 0);

      needs.closed(open_and_close("/etc/passwd", O_RDONLY));
      needs.closed(open_and_close("/proc/self/mem", O_RDWR));
      needs.closed(open_and_close(root / "outside/file", O_RDONLY));
      needs.closed(open_and_close(root / "outside/new", O_RDWR | O_CREAT));
      needs.closed(open_and_close(root / "readable/../outside/file", O_RDONLY));
      needs.closed(open_and_close(root, O_RDONLY | O_DIRECTORY));
      // Out of it and into it.
      needs.closed(::rename((root / "writable/file").c_str(), (root / "outside/x").c_str()));
      needs.closed(::rename((root / "outside/file").c_str(), (root / "writable/x").c_str()));
      needs.closed(::rename((root / "readable/file").c_str(), (root / "writable/x").c_str()));
      needs.refused(::link((root / "outside/file").c_str(), (root / "writable/x").c_str()));
      needs.refused(::symlink("/etc/passwd", (root / "writable/x").c_str()));
      needs.refused(::mkfifo((root / "writable/x").c_str(), 0600));
      needs.closed(::unlink((root / "outside/file").c_str()));
      needs.closed(::rmdir((root / "outside").c_str()));
      needs.closed(::mkdir((root / "outside/folder").c_str(), 0700));
      needs.refused(::truncate((root / "outside/file").c_str(), 0));
      needs.refused(::chmod((root / "outside/file").c_str(), 0777));
      const int folder = ::open((root / "writable").c_str(), O_PATH);
      needs(folder >= 0);
      needs.closed(::openat(folder, "../outside/file", O_RDONLY));
    });
    CHECK(failed == 0);
    CHECK(files::file_size(root / "outside/file") == 7);
    CHECK(!files::exists(root / "writable/x"));
  }

  TEST_CASE("a link that is there leads to no closed file" *
            doctest::skip(sanitized || !has_landlock()) * doctest::description(own_needs)) {
    const Directories directories;
    files::create_symlink(directories.root / "outside/file", directories.root / "readable/link");
    const unsigned failed = failed_line(directories.sandbox(), [&directories](const Needs& needs) {
      needs.closed(open_and_close(directories.root / "readable/link", O_RDONLY));
    });
    CHECK(failed == 0);
  }

  TEST_CASE("a single file can be named" *
            doctest::skip(sanitized || !has_landlock()) * doctest::description(own_needs)) {
    const Directories directories;
    Sandbox sandbox;
    sandbox.readable = {directories.root / "readable/file"};
    sandbox.writable = {directories.root / "writable/file"};
    const unsigned failed = failed_line(sandbox, [&directories](const Needs& needs) {
      needs(open_and_close(directories.root / "readable/file", O_RDONLY) == 0);
      needs(open_and_close(directories.root / "writable/file", O_RDWR | O_TRUNC) == 0);
      needs.closed(open_and_close(directories.root / "writable/other", O_RDWR | O_CREAT));
    });
    CHECK(failed == 0);
  }

  TEST_CASE("the network can be opened, without local services" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    Sandbox sandbox;
    sandbox.network = true;
    const unsigned failed = failed_line(sandbox, [](const Needs& needs) {
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const int client = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      auto* place = reinterpret_cast<sockaddr*>(&address);
      needs(::bind(server, place, size) == 0 && ::listen(server, 1) == 0);
      needs(::getsockname(server, place, &size) == 0);
      needs(::connect(client, place, size) == 0);
      needs(::send(client, "x", 1, 0) == 1);
      needs.refused(::socket(AF_UNIX, SOCK_STREAM, 0));
      needs.refused(::socket(AF_NETLINK, SOCK_RAW, 0));
      needs.refused(::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
      needs.refused(open_and_close("/etc/hosts", O_RDONLY));
      needs.refused(::fork());
    });
    CHECK(failed == 0);
  }

  TEST_CASE("programs can be started in the same sandbox" *
            doctest::skip(sanitized || !has_landlock()) * doctest::description(own_needs)) {
    Sandbox sandbox;
    sandbox.processes = true;
    for (const char* path : {"/bin", "/usr", "/lib", "/lib64", "/etc/ld.so.cache"}) {
      if (files::exists(path)) sandbox.readable.emplace_back(path);
    }
    const unsigned failed = failed_line(sandbox, [](const Needs& needs) {
      const int forked = ::fork();
      if (forked == 0) ::_exit(9);
      int status = 0;
      needs(::waitpid(forked, &status, 0) == forked && WEXITSTATUS(status) == 9);
      const int ended = ::system("cat /usr/bin/env > /dev/fd/1 | true; exit 5");
      needs(WIFEXITED(ended) && WEXITSTATUS(ended) == 5);
      const int closed = ::system("cat /etc/passwd 2>/dev/fd/2 2>&-");
      needs(WIFEXITED(closed) && WEXITSTATUS(closed) == 1);
      needs.refused(::unshare(CLONE_NEWUSER));
      needs.refused(::socket(AF_INET, SOCK_STREAM, 0));
    });
    CHECK(failed == 0);
  }

#if defined(__x86_64__)
  TEST_CASE("system calls by other numbers are closed too" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    const unsigned failed = failed_line({}, [](const Needs& needs) {
      constexpr long x32 = 0x40000000;
      needs.refused(::syscall(x32 + SYS_getpid));
      needs.refused(::syscall(x32 + SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
    });
    CHECK(failed == 0);
    // getpid() of 32 bits. A kernel without it ends the process by SIGSEGV.
    const int status = status_in_child([] {
      ::signal(SIGSYS, SIG_DFL);
      ::signal(SIGSEGV, SIG_DFL);
      apply_sandbox({});
      long result = 20;
      asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
      return result > 0 ? 1 : 2;
    });
    const bool ended = status == killed_by(SIGSYS) || status == killed_by(SIGSEGV);
    CHECK(ended);
  }
#endif

  TEST_CASE("a crash in the sandbox is told" *
            doctest::skip(sanitized) * doctest::description(own_needs)) {
    const Shared<siding::detail::CrashPage> page;
    const int faulted = status_in_child([&] {
      ::signal(SIGSEGV, SIG_DFL);
      ::signal(SIGABRT, SIG_DFL);
      siding::detail::watch_for_crashes(*page);
      apply_sandbox({});
      volatile std::uintptr_t place = 40;  // not known to the compiler
      *reinterpret_cast<volatile int*>(place) = 1;  // NOLINT(performance-no-int-to-ptr)
      return 0;
    });
    CHECK(faulted == killed_by(SIGSEGV));
    const auto report = siding::detail::read_crash(*page);
    REQUIRE(report.has_value());
    CHECK(report->signal == SIGSEGV);
    CHECK(report->address == 40);
    CHECK(report->backtrace.size() > 3);

    const Shared<siding::detail::CrashPage> second;
    const int aborted = status_in_child([&] {
      ::signal(SIGABRT, SIG_DFL);
      siding::detail::watch_for_crashes(*second);
      apply_sandbox({});
      ::close(STDERR_FILENO);  // its message
      std::thread([] { std::terminate(); }).join();
      return 0;
    });
    CHECK(aborted == killed_by(SIGABRT));
    const auto terminated = siding::detail::read_crash(*second);
    REQUIRE(terminated.has_value());
    CHECK(terminated->signal == SIGABRT);
    CHECK(terminated->text == "terminate called without an active exception");
    CHECK(terminated->backtrace.size() > 3);
  }
}

}  // namespace
}  // namespace siding_test::sandbox_test
