// SPDX-License-Identifier: MIT
#include "seccomp_filter.hpp"

#include <siding/sandbox.hpp>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

// A list of what is allowed, because what is dangerous grows with each kernel. The kernel remembers
// for each number whether the answer depends on the number alone (since 5.11), so the order of the
// list costs nothing.
//
// Arguments are looked at where they are numbers. What a pointer leads to cannot be looked at: hence
// paths are Landlock's.

namespace siding::detail {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t own_architecture = 0;
#endif

// Linux 5.17, not in the headers of glibc 2.36; allocators name their memory by it.
constexpr std::uint32_t name_of_memory = 0x53564d41;  // PR_SET_VMA
// Linux 6.13; newer C libraries guard the stacks of threads so.
constexpr std::uint32_t guard_install = 102;
constexpr std::uint32_t guard_remove = 103;
constexpr std::uint32_t new_namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// What a thread, an allocator, the streams of the C library and the worker itself need, and what only
// concerns this process or descriptors that it has.
constexpr int always_allowed[] = {
    // descriptors that are open
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
    SYS_preadv2, SYS_pwritev2, SYS_lseek, SYS_close, SYS_close_range, SYS_dup, SYS_dup3, SYS_fstat,
    SYS_newfstatat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_recvmsg,
    SYS_sendmsg, SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_pipe2, SYS_eventfd2, SYS_timerfd_create, SYS_timerfd_settime,
    SYS_timerfd_gettime, SYS_signalfd4, SYS_memfd_create,
    // memory
    SYS_munmap, SYS_mremap, SYS_brk, SYS_msync, SYS_mincore,
    // threads
    SYS_futex, SYS_futex_waitv, SYS_set_robust_list, SYS_rseq, SYS_membarrier, SYS_sched_yield,
    SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler, SYS_getcpu,
    SYS_set_tid_address, SYS_gettid, SYS_exit, SYS_exit_group,
    // signals of this process
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending,
    SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_sigaltstack, SYS_restart_syscall,
    // time
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_times, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun,
    SYS_timer_delete, SYS_setitimer, SYS_getitimer,
    // what this process is
    SYS_getpid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getrandom,
    SYS_getrusage, SYS_uname, SYS_sysinfo,
#if defined(__x86_64__)
    SYS_dup2, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_pipe, SYS_eventfd,
    SYS_alarm, SYS_pause, SYS_time, SYS_getrlimit,
#endif
};

// Only where there are paths, and under Landlock.
constexpr int allowed_with_paths[] = {
    SYS_openat, SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_getdents64, SYS_statx,
    SYS_statfs, SYS_fstatfs, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_flock, SYS_fadvise64,
    SYS_sendfile, SYS_copy_file_range,
#if defined(__x86_64__)
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink,
#endif
};
// Not what makes links and other than regular files, and nothing that Landlock does not look at, such
// as truncate, chmod, chown, utimensat and attributes.
constexpr int allowed_with_writable_paths[] = {
    SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2,
#if defined(__x86_64__)
    SYS_creat, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename,
#endif
};

constexpr int allowed_with_network[] = {
    SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_sendto, SYS_recvfrom,
    SYS_sendmmsg, SYS_recvmmsg, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
    SYS_shutdown,
};

constexpr int allowed_with_processes[] = {
    SYS_execve, SYS_execveat, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill, SYS_tgkill,
    SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_setpgid, SYS_getpgid, SYS_setsid, SYS_getsid,
    SYS_pidfd_open, SYS_pidfd_send_signal, SYS_mmap, SYS_mprotect, SYS_umask,
#if defined(__x86_64__)
    SYS_fork, SYS_vfork, SYS_getpgrp, SYS_arch_prctl,
#endif
};

sock_filter statement(int code, std::uint32_t operand) noexcept {
  return {static_cast<std::uint16_t>(code), 0, 0, operand};
}
sock_filter jump_if_equal(std::uint32_t operand, std::size_t then, std::size_t otherwise) noexcept {
  return {BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint8_t>(then),
          static_cast<std::uint8_t>(otherwise), operand};
}
sock_filter load(std::size_t offset) noexcept {
  return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter answer(std::uint32_t action) noexcept { return statement(BPF_RET | BPF_K, action); }
constexpr std::uint32_t refusal(int error) noexcept {
  return SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA);
}

enum class Half : std::size_t { low = 0, high = 4 };  // both architectures are little endian

/// Holds if the argument, or what the mask leaves of it, is one of the values. The low half is enough
/// for a number of which the kernel takes no more.
struct ArgumentTest {
  std::size_t argument;
  std::initializer_list<std::uint32_t> values;
  std::uint32_t mask = ~std::uint32_t{0};
  Half half = Half::low;
};

class FilterBuilder {
 public:
  FilterBuilder() {
    code_ = {load(offsetof(seccomp_data, arch)), jump_if_equal(own_architecture, 1, 0),
             answer(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  }

  void allow(std::span<const int> numbers) {
    for (const int number : numbers) decide(number, {answer(SECCOMP_RET_ALLOW)});
  }
  void refuse(int number, int error) { decide(number, {answer(refusal(error))}); }
  /// If all tests hold; else it is refused.
  void allow_if(int number, std::initializer_list<ArgumentTest> tests) {
    std::vector<sock_filter> block;
    for (const ArgumentTest& test : tests) {
      block.push_back(load(offsetof(seccomp_data, args) + 8 * test.argument +
                           static_cast<std::size_t>(test.half)));
      block.push_back(statement(BPF_ALU | BPF_AND | BPF_K, test.mask));
      // Each value that fits leads behind the refusal.
      std::size_t left = test.values.size();
      for (const std::uint32_t value : test.values) {
        block.push_back(jump_if_equal(value, left--, 0));
      }
      block.push_back(answer(refusal(EPERM)));
    }
    block.push_back(answer(SECCOMP_RET_ALLOW));
    decide(number, block);
  }

  std::vector<sock_filter> finish() {
    // Also the numbers of the x32 ABI, which has the same architecture and a bit in each number.
    code_.push_back(answer(refusal(EPERM)));
    return std::move(code_);
  }

 private:
  void decide(int number, const std::vector<sock_filter>& block) {
    code_.push_back(jump_if_equal(static_cast<std::uint32_t>(number), 0, block.size()));
    code_.insert(code_.end(), block.begin(), block.end());
  }

  std::vector<sock_filter> code_;
};

// Calls that are harmless with some arguments.
void add_limited(FilterBuilder& filter) {
  const auto self = static_cast<std::uint32_t>(::getpid());
  // Without F_SETOWN and F_SETSIG, which would have the kernel send signals to anybody.
  filter.allow_if(SYS_fcntl, {{1, {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL,
                                   F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK,
                                   F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS, F_GETPIPE_SZ}}});
  filter.allow_if(SYS_ioctl, {{1, {TCGETS, TIOCGWINSZ, FIONREAD}}});
  filter.allow_if(SYS_prctl, {{0, {PR_SET_NAME, PR_GET_NAME, name_of_memory}}});
  // To read the limits of this process, not to set any.
  filter.allow_if(SYS_prlimit64,
                  {{0, {0, self}}, {2, {0}}, {2, {0}, ~std::uint32_t{0}, Half::high}});
  for (const int number : {SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo}) {
    filter.allow_if(number, {{0, {self}}});
  }
  // Without MADV_HWPOISON, by which root could damage memory that is shared.
  filter.allow_if(SYS_madvise, {{2, {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
                                     MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
                                     MADV_DOFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP,
                                     MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD,
                                     MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
                                     guard_install, guard_remove}}});
  // No memory becomes code.
  for (const int number : {SYS_mmap, SYS_mprotect}) filter.allow_if(number, {{2, {0}, PROT_EXEC}});
  filter.allow_if(SYS_clone, {{0, {CLONE_THREAD}, CLONE_THREAD | new_namespaces}});
  // Its arguments are behind a pointer. The C library goes on with clone.
  filter.refuse(SYS_clone3, ENOSYS);
}

void add_network(FilterBuilder& filter) {
  constexpr std::uint32_t flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  filter.allow_if(SYS_socket,
                  {{0, {AF_INET, AF_INET6}}, {1, {SOCK_STREAM, SOCK_DGRAM}, ~flags}});
  filter.allow(allowed_with_network);
}

}  // namespace

void require_seccomp() {
  std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (own_architecture == 0 || ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    throw std::system_error(
        own_architecture == 0 ? ENOSYS : errno, std::system_category(),
        "a sandbox needs system call filters (seccomp), which this kernel does not offer: run on one "
        "that is built with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64, in a container that allows "
        "the call; or make the pool without a sandbox");
  }
}

std::vector<sock_filter> make_seccomp_filter(const Sandbox& sandbox) {
  FilterBuilder filter;
  filter.allow(always_allowed);
  if (!sandbox.readable.empty() || !sandbox.writable.empty()) filter.allow(allowed_with_paths);
  if (!sandbox.writable.empty()) filter.allow(allowed_with_writable_paths);
  if (sandbox.network) add_network(filter);
  if (sandbox.processes) {  // before the limited ones: the first that knows a number decides
    filter.allow(allowed_with_processes);
    filter.allow_if(SYS_clone, {{0, {0}, new_namespaces}});
  }
  add_limited(filter);
  return filter.finish();
}

void install_seccomp_filter(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    throw std::system_error(errno, std::system_category(), "installing the sandbox's filter");
  }
}

}  // namespace siding::detail
