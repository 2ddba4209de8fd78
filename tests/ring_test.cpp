// SPDX-License-Identifier: MIT
#include "ring.hpp"

#include <siding/error.hpp>
#include <siding/io_uring_unavailable.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace siding_test::ring_test {
namespace {

using namespace std::chrono_literals;
using siding::InvalidStateError;
using siding::detail::Operation;
using siding::detail::Ring;
using siding::detail::RingMode;
using siding::detail::RingOptions;
using Clock = std::chrono::steady_clock;

// Far beyond what any case takes; reached only by a lost wake-up or completion.
constexpr auto hang_limit = 20s;

class WakeFd {
 public:
  WakeFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~WakeFd() { ::close(fd_); }
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  int fd() const { return fd_; }
  void ring() const { CHECK(::eventfd_write(fd_, 1) == 0); }

 private:
  int fd_;
};

class Pipe {
 public:
  Pipe() { REQUIRE(::pipe2(fds_.data(), O_CLOEXEC) == 0); }
  ~Pipe() {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int out() const { return fds_[0]; }
  void write(const char* text) const {
    const auto size = static_cast<ssize_t>(std::strlen(text));
    CHECK(::write(fds_[1], text, std::strlen(text)) == size);
  }

 private:
  std::array<int, 2> fds_{-1, -1};
};

struct Recorder final : Operation {
  void complete(int result, std::uint32_t) noexcept override { results.push_back(result); }
  void discard(int result) noexcept override { discarded.push_back(result); }

  std::vector<int> results;
  std::vector<int> discarded;
};

struct Buffer {
  std::span<std::byte> span() { return std::as_writable_bytes(std::span(bytes)); }
  std::array<char, 16> bytes{};
};

// A ring of this thread, with its wake-up poll in place.
struct EnabledRing {
  explicit EnabledRing(RingOptions options = {}) : ring(wake.fd(), options) {
    ring.enable();
    ring.poll();
  }
  WakeFd wake;
  Ring ring;
};

void run_until(Ring& ring, const std::function<bool()>& done) {
  const auto deadline = Clock::now() + hang_limit;
  while (!done()) {
    ring.wait(deadline);
    REQUIRE_MESSAGE(Clock::now() < deadline, "a completion never came");
  }
}

// Reaps until nothing comes any more, so that what comes next is new.
void settle(Ring& ring) {
  for (std::uint64_t before = ~0ull; before != ring.counters().cqes;) {
    before = ring.counters().cqes;
    ring.poll();
  }
}

// What `body` returns in a forked child, where doctest's checks would be lost.
int status_in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 100;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

int open_rings() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    const auto target = std::filesystem::read_symlink(entry.path(), ignored);
    if (target.string().find("io_uring") != std::string::npos) ++count;
  }
  return count;
}

TEST_SUITE("Ring") {
  TEST_CASE("the ladder starts at the asked rung and everything works on each") {
    for (const RingMode mode : {RingMode::deferred, RingMode::cooperative, RingMode::plain}) {
      EnabledRing loop{{.best_mode = mode}};
      Pipe pipe;
      Recorder recorder;
      Buffer buffer;

      loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
      loop.ring.poll();
      CHECK(recorder.in_flight());
      pipe.write("hello");
      run_until(loop.ring, [&] { return !recorder.in_flight(); });

      CHECK(loop.ring.mode() == mode);
      CHECK(recorder.results == std::vector{5});
      CHECK(std::string(buffer.bytes.data()) == "hello");
      CHECK(loop.ring.owed() == 0);
      CHECK(loop.ring.close());
    }
  }

  TEST_CASE("a poll tells which events are there") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;

    loop.ring.poll_once(recorder, pipe.out(), POLLIN);
    loop.ring.poll();
    CHECK(recorder.in_flight());
    pipe.write("x");
    run_until(loop.ring, [&] { return !recorder.in_flight(); });

    CHECK(recorder.results == std::vector<int>{POLLIN});
  }

  TEST_CASE("an operation on a bad descriptor completes with its errno") {
    EnabledRing loop;
    Recorder bad;
    Recorder good;
    Pipe pipe;
    Buffer buffer;
    pipe.write("x");

    loop.ring.read(bad, -1, buffer.span(), 0);
    loop.ring.read(good, pipe.out(), buffer.span(), 0);
    run_until(loop.ring, [&] { return !bad.in_flight() && !good.in_flight(); });

    CHECK(bad.results == std::vector{-EBADF});
    CHECK(good.results == std::vector{1});
  }

  TEST_CASE("a write to the eventfd on another thread ends a wait, every time") {
    constexpr int rounds = 2000;
    EnabledRing loop;
    std::atomic<int> asked{0};
    std::thread waker([&] {
      for (int round = 1; round <= rounds; ++round) {
        for (int seen = asked.load(); seen < round; seen = asked.load())
          asked.wait(seen);
        loop.wake.ring();
      }
    });

    const auto deadline = Clock::now() + hang_limit;
    for (int round = 1; round <= rounds; ++round) {
      const auto before = loop.ring.counters().wakes;
      asked.store(round);
      asked.notify_one();
      while (loop.ring.counters().wakes == before && Clock::now() < deadline)
        loop.ring.wait(deadline);
    }
    waker.join();

    CHECK(Clock::now() < deadline);
    CHECK(loop.ring.counters().wakes == rounds);
  }

  TEST_CASE("a write before the ring is enabled is not lost") {
    WakeFd wake;
    Ring ring(wake.fd());
    wake.ring();

    ring.enable();
    run_until(ring, [&] { return ring.counters().wakes == 1; });
  }

  TEST_CASE("ten writes before the reap are one completion") {
    EnabledRing loop;

    for (int i = 0; i < 10; ++i)
      loop.wake.ring();
    loop.ring.wait(Clock::now() + hang_limit);
    loop.ring.poll();

    CHECK(loop.ring.counters().wakes == 1);
    CHECK(loop.ring.counters().cqes == 1);
  }

  TEST_CASE("a wait with nothing to do lasts until its deadline") {
    EnabledRing loop;
    const auto deadline = Clock::now() + 20ms;

    loop.ring.wait(deadline);

    CHECK(Clock::now() >= deadline);
    CHECK(Clock::now() < deadline + hang_limit);
  }

  TEST_CASE("a deadline that has passed does not block, and submits all the same") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    pipe.write("x");

    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
    loop.ring.wait(Clock::time_point::min() + 1h);

    CHECK(recorder.results == std::vector{1});
  }

  TEST_CASE("a poll with nothing to do makes no system call") {
    EnabledRing loop;
    const auto before = loop.ring.counters().enters;

    loop.ring.poll();

    CHECK(loop.ring.counters().enters == before);
  }

  TEST_CASE("another thread gets an error, and nothing is submitted or spoilt") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Recorder stray;
    Buffer buffer;
    pipe.write("x");
    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);

    std::thread([&] {
      EnabledRing other;  // its registered index must not be mistaken for the first ring's
      CHECK_THROWS_AS(loop.ring.poll(), InvalidStateError);
      CHECK_THROWS_AS(loop.ring.wait(), InvalidStateError);
      CHECK_THROWS_AS(loop.ring.read(stray, pipe.out(), buffer.span(), 0), InvalidStateError);
      CHECK_THROWS_AS(loop.ring.poll_once(stray, pipe.out(), POLLIN), InvalidStateError);
      CHECK_THROWS_AS(loop.ring.cancel(recorder), InvalidStateError);
      CHECK_THROWS_AS(loop.ring.enable(), InvalidStateError);
    }).join();
    CHECK(recorder.in_flight());
    CHECK_FALSE(stray.in_flight());
    CHECK(loop.ring.owed() == 1);
    run_until(loop.ring, [&] { return !recorder.in_flight(); });

    CHECK(recorder.results == std::vector{1});
  }

  TEST_CASE("a ring is built on one thread and used on another") {
    WakeFd wake;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    Ring ring(wake.fd());
    ring.read(recorder, pipe.out(), buffer.span(), 0);
    CHECK_THROWS_AS(ring.wait(), InvalidStateError);

    std::thread([&] {
      ring.enable();
      ring.enable();
      pipe.write("x");
      run_until(ring, [&] { return !recorder.in_flight(); });
    }).join();

    CHECK(recorder.results == std::vector{1});
  }

  // IO-004
  TEST_CASE("ten thousand operations pass through a ring of eight") {
    constexpr std::size_t count = 10'000;
    EnabledRing loop{{.entries = 8, .completion_entries = 16}};
    Pipe pipe;
    pipe.write("x");
    std::deque<Recorder> recorders(count);

    for (Recorder& recorder : recorders)
      loop.ring.poll_once(recorder, pipe.out(), POLLIN);
    run_until(loop.ring, [&] { return loop.ring.owed() == 0; });

    CHECK(loop.ring.counters().sq_full > 0);
    CHECK(loop.ring.counters().cq_overflows > 0);
    for (const Recorder& recorder : recorders)
      if (recorder.results != std::vector<int>{POLLIN}) FAIL_CHECK("an operation ended wrongly");
  }

  TEST_CASE("operations that find no room before the ring is enabled run afterwards, in order") {
    constexpr std::size_t count = 100;
    WakeFd wake;
    Pipe pipe;
    Ring ring(wake.fd(), {.entries = 8, .completion_entries = 16});
    std::deque<Recorder> recorders(count);
    std::array<char, count> bytes{};
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += static_cast<char>('!' + i % 90);
    pipe.write(text.c_str());

    for (std::size_t i = 0; i < count; ++i)
      ring.read(recorders[i], pipe.out(), std::as_writable_bytes(std::span(bytes)).subspan(i, 1),
                0);
    ring.enable();
    run_until(ring, [&] { return ring.owed() == 0; });

    CHECK(std::string(bytes.data(), count) == text);
    CHECK(ring.counters().overflow_flushes == count - 8 + 1);  // and the wake poll
  }

  TEST_CASE("the wake poll is renewed after a full completion queue ended it") {
    EnabledRing loop{{.entries = 4, .completion_entries = 4}};
    Pipe pipe;
    pipe.write("x");
    std::deque<Recorder> recorders(64);

    // Submits as the queue fills, without reaping: completions pile up, and the wake-up with them.
    for (Recorder& recorder : recorders)
      loop.ring.poll_once(recorder, pipe.out(), POLLIN);
    loop.wake.ring();
    run_until(loop.ring, [&] { return loop.ring.owed() == 0 && loop.ring.counters().wakes > 0; });
    settle(loop.ring);
    const auto before = loop.ring.counters().wakes;
    loop.wake.ring();
    run_until(loop.ring, [&] { return loop.ring.counters().wakes > before; });

    CHECK(loop.ring.counters().wake_rearms > 0);
  }

  TEST_CASE("a wake eventfd that cannot be polled is an error and not a busy loop") {
    Ring ring(-1);
    ring.enable();

    CHECK_THROWS_AS(ring.wait(Clock::now() + hang_limit), std::system_error);
  }
}

TEST_SUITE("Ring: cancelling") {
  TEST_CASE("a cancelled read of a pipe ends with -ECANCELED and leaves its buffer alone") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
    loop.ring.poll();

    loop.ring.cancel(recorder);
    run_until(loop.ring, [&] { return !recorder.in_flight(); });
    pipe.write("late");

    CHECK(recorder.results == std::vector{-ECANCELED});
    CHECK(buffer.bytes == Buffer{}.bytes);
    // A successful cancellation has no completion of its own.
    CHECK(loop.ring.counters().cqes == 1);
  }

  TEST_CASE("a cancellation in the batch of its operation is in time") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;

    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
    loop.ring.cancel(recorder);
    run_until(loop.ring, [&] { return !recorder.in_flight(); });

    CHECK(recorder.results == std::vector{-ECANCELED});
  }

  TEST_CASE("a cancellation that comes too late changes nothing") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    pipe.write("x");

    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
    loop.ring.cancel(recorder);
    run_until(loop.ring, [&] { return !recorder.in_flight(); });
    loop.ring.cancel(recorder);
    loop.ring.poll();

    CHECK(recorder.results == std::vector{1});
    CHECK(buffer.bytes[0] == 'x');
    CHECK(loop.ring.owed() == 0);
  }

  TEST_CASE("a late cancellation does not reach a new operation at the same address") {
    EnabledRing loop;
    Pipe ready;
    Pipe empty;
    Recorder recorder;
    Buffer buffer;
    ready.write("x");
    loop.ring.read(recorder, ready.out(), buffer.span(), 0);
    loop.ring.cancel(recorder);
    run_until(loop.ring, [&] { return !recorder.in_flight(); });

    loop.ring.read(recorder, empty.out(), buffer.span(), 0);
    loop.ring.poll();
    empty.write("y");
    run_until(loop.ring, [&] { return !recorder.in_flight(); });

    CHECK(recorder.results == std::vector{1, 1});
  }
}

TEST_SUITE("Ring: closing") {
  TEST_CASE("close cancels reads in flight and has seen all of them when it returns") {
    EnabledRing loop;
    std::deque<Pipe> pipes(50);
    std::deque<Recorder> recorders(pipes.size());
    std::deque<Buffer> buffers(pipes.size());
    for (std::size_t i = 0; i < pipes.size(); ++i)
      loop.ring.read(recorders[i], pipes[i].out(), buffers[i].span(), 0);
    loop.ring.poll();

    CHECK(loop.ring.close());
    for (const Pipe& pipe : pipes)
      pipe.write("late");

    CHECK(loop.ring.owed() == 0);
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      CHECK_FALSE(recorders[i].in_flight());
      CHECK(recorders[i].results.empty());
      CHECK(recorders[i].discarded == std::vector{-ECANCELED});
      CHECK(buffers[i].bytes == Buffer{}.bytes);
    }
  }

  TEST_CASE("close drains more than the completion queue holds") {
    EnabledRing loop{{.entries = 4, .completion_entries = 4}};
    Pipe pipe;
    std::deque<Recorder> recorders(500);
    for (Recorder& recorder : recorders)
      loop.ring.poll_once(recorder, pipe.out(), POLLIN);
    loop.ring.poll();

    CHECK(loop.ring.close());

    for (const Recorder& recorder : recorders)
      if (recorder.discarded.size() != 1) FAIL_CHECK("an operation was not discarded once");
  }

  TEST_CASE("a success that is seen only while closing goes to discard with its result") {
    EnabledRing loop{{.entries = 1, .completion_entries = 4}};
    Pipe pipe;
    Recorder finished;
    Recorder unsubmitted;
    Buffer buffer;
    pipe.write("hello");

    loop.ring.read(finished, pipe.out(), buffer.span(), 0);
    // The second finds the queue full and submits the first, which completes at once.
    loop.ring.read(unsubmitted, pipe.out(), buffer.span(), 0);
    CHECK(loop.ring.close());

    CHECK(finished.results.empty());
    CHECK(finished.discarded == std::vector{5});
    CHECK(unsubmitted.discarded == std::vector{-ECANCELED});
    CHECK(std::string(buffer.bytes.data()) == "hello");
  }

  TEST_CASE("closing a ring that was never enabled discards what was prepared") {
    WakeFd wake;
    Pipe pipe;
    std::deque<Recorder> recorders(20);
    Ring ring(wake.fd(), {.entries = 8, .completion_entries = 16});
    for (Recorder& recorder : recorders)
      ring.poll_once(recorder, pipe.out(), POLLIN);

    CHECK(ring.close());

    for (const Recorder& recorder : recorders)
      CHECK(recorder.discarded == std::vector{-ECANCELED});
  }

  TEST_CASE("close may be called again, and afterwards nothing can be started") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;

    CHECK(loop.ring.close());
    CHECK(loop.ring.close());

    CHECK_THROWS_AS(loop.ring.read(recorder, pipe.out(), buffer.span(), 0), InvalidStateError);
    CHECK_THROWS_AS(loop.ring.wait(), InvalidStateError);
    CHECK_FALSE(recorder.in_flight());
  }

  TEST_CASE("destruction gives the descriptor back") {
    const int before = open_rings();
    { EnabledRing loop; }
    CHECK(open_rings() == before);
  }

  TEST_CASE("destruction without close discards what is in flight") {
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    {
      EnabledRing loop;
      loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
      loop.ring.poll();
    }
    CHECK(recorder.discarded == std::vector{-ECANCELED});
  }

  TEST_CASE("after the owner's thread has ended another one can close a ring that owes nothing") {
    WakeFd wake;
    Ring ring(wake.fd());
    const int before = open_rings();
    std::thread([&] {
      ring.enable();
      ring.poll();
    }).join();

    CHECK(ring.close());
    CHECK(open_rings() == before - 1);
  }

  TEST_CASE("a ring closed on a foreign thread with a read in flight says so and is leaked") {
    // The kernel keeps the read and may write to its buffer for as long as the process lives.
    static auto* const buffer = new Buffer;
    static auto* const recorder = new Recorder;
    static auto* const pipe = new Pipe;
    WakeFd wake;
    auto ring = std::make_unique<Ring>(wake.fd());
    const int before = open_rings();
    std::thread([&] {
      ring->enable();
      ring->read(*recorder, pipe->out(), buffer->span(), 0);
      ring->poll();
    }).join();

    CHECK_FALSE(ring->close(hang_limit));
    ring.reset();

    CHECK(recorder->in_flight());
    CHECK(recorder->discarded.empty());
    CHECK(open_rings() == before);
  }

  TEST_CASE("a close that was refused succeeds later on the owner's thread") {
    WakeFd wake;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    Ring ring(wake.fd());
    ring.read(recorder, pipe.out(), buffer.span(), 0);
    std::atomic<int> stage{0};
    std::thread owner([&] {
      ring.enable();
      ring.poll();
      stage.store(1);
      stage.notify_one();
      stage.wait(1);
      CHECK(ring.close(hang_limit));
    });
    stage.wait(0);

    CHECK_FALSE(ring.close(hang_limit));
    CHECK(recorder.in_flight());
    CHECK(recorder.discarded.empty());
    stage.store(2);
    stage.notify_one();
    owner.join();

    CHECK(recorder.discarded == std::vector{-ECANCELED});
  }

  TEST_CASE("a large read of a file is never cut off by close before its completion is seen") {
    // Whether the read is cancelled, runs in a kernel thread or is over already is up to the
    // kernel; after close the buffer does not change in any case.
    constexpr std::size_t size = 32u << 20;
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    const std::vector<char> contents(size, 'x');
    REQUIRE(std::fwrite(contents.data(), 1, size, file) == size);
    REQUIRE(std::fflush(file) == 0);
    ::posix_fadvise(::fileno(file), 0, 0, POSIX_FADV_DONTNEED);
    std::vector<char> buffer(size, '.');
    Recorder recorder;
    EnabledRing loop;

    loop.ring.read(recorder, ::fileno(file), std::as_writable_bytes(std::span(buffer)), 0);
    loop.ring.poll();
    while (!loop.ring.close(0ns))
      CHECK(recorder.in_flight());
    const std::vector<char> at_close = buffer;

    CHECK(recorder.results.size() + recorder.discarded.size() == 1);
    CHECK_FALSE(recorder.in_flight());
    CHECK(at_close == buffer);
    std::fclose(file);
  }
}

TEST_SUITE("Ring: fork") {
  TEST_CASE("a child that ignores the ring does not disturb it and does not hold it open") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
    loop.ring.poll();
    CHECK(open_rings() > 0);

    const int status = status_in_child([] { return open_rings(); });
    pipe.write("x");
    run_until(loop.ring, [&] { return !recorder.in_flight(); });

    CHECK(status == 0);
    CHECK_FALSE(loop.ring.forked());
    CHECK(recorder.results == std::vector{1});
  }

  TEST_CASE("a child that uses the ring gets an error, and the parent's operations complete") {
    EnabledRing loop;
    Pipe pipe;
    Recorder recorder;
    Recorder prepared;
    Buffer buffer;
    loop.ring.read(recorder, pipe.out(), buffer.span(), 0);
    loop.ring.poll();
    loop.ring.poll_once(prepared, pipe.out(), POLLIN);

    const int status = status_in_child([&] {
      const auto refused = [](auto use) {
        try {
          use();
        } catch (const InvalidStateError&) {
          return true;
        }
        return false;
      };
      Recorder other;
      if (!loop.ring.forked()) return 1;
      if (!refused([&] { loop.ring.poll(); })) return 2;
      if (!refused([&] { loop.ring.wait(); })) return 3;
      if (!refused([&] { loop.ring.poll_once(other, pipe.out(), POLLIN); })) return 4;
      if (!refused([&] { loop.ring.cancel(recorder); })) return 5;
      return loop.ring.close() ? 0 : 6;
    });
    pipe.write("xy");
    run_until(loop.ring, [&] { return loop.ring.owed() == 0; });

    CHECK(status == 0);
    CHECK(recorder.results == std::vector{2});
    CHECK(prepared.results.size() == 1);
  }

  TEST_CASE("a child that destroys the ring and makes one of its own leaves the parent's alone") {
    WakeFd wake;
    auto ring = std::make_unique<Ring>(wake.fd());
    ring->enable();
    Pipe pipe;
    Recorder recorder;
    Buffer buffer;
    ring->read(recorder, pipe.out(), buffer.span(), 0);
    ring->poll();

    const int status = status_in_child([&] {
      ring.reset();
      Pipe own_pipe;
      Recorder own;
      Buffer own_buffer;
      EnabledRing fresh;
      own_pipe.write("child");
      fresh.ring.read(own, own_pipe.out(), own_buffer.span(), 0);
      run_until(fresh.ring, [&] { return !own.in_flight(); });
      return own.results == std::vector{5} && fresh.ring.close() && open_rings() == 0 ? 0 : 1;
    });
    pipe.write("x");
    run_until(*ring, [&] { return !recorder.in_flight(); });

    CHECK(status == 0);
    CHECK(recorder.results == std::vector{1});
    CHECK(ring->close());
  }
}

TEST_SUITE("Ring: the kernel") {
  TEST_CASE("probing finds the operations the library is built on") {
    const auto& features = siding::detail::kernel_features();

    CHECK(features.io_uring);
    CHECK(features.operations[6]);   // IORING_OP_POLL_ADD
    CHECK(features.operations[14]);  // IORING_OP_ASYNC_CANCEL
    CHECK(features.operations[22]);  // IORING_OP_READ
    CHECK(&siding::detail::kernel_features() == &features);
  }

  TEST_CASE("without a free descriptor the error names the limit") {
    WakeFd wake;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = before;
    none.rlim_cur = 3;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    int error = 0;
    auto cause = siding::IoUringCause::unknown;
    try {
      Ring ring(wake.fd());
    } catch (const siding::IoUringUnavailable& unavailable) {
      error = unavailable.code().value();
      cause = unavailable.cause();
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);

    CHECK(error == EMFILE);
    CHECK(cause == siding::IoUringCause::out_of_descriptors);
  }

  TEST_CASE("impossible options are an error with a text") {
    WakeFd wake;
    CHECK_THROWS_AS(Ring(wake.fd(), {.entries = 0}), siding::IoUringUnavailable);
  }
}

}  // namespace
}  // namespace siding_test::ring_test
