// SPDX-License-Identifier: MIT
// SharedBuffer: memory that the program and its workers use together.
#include <siding/siding.hpp>

#include <siding/detail/sanitizers.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "file_descriptor.hpp"
#include "shared_memory.hpp"
#include "support/gate.hpp"
#include "support/leak_guard.hpp"
#include "support/limits.hpp"
#include "support/process_pool_subject.hpp"
#include "support/seed.hpp"
#include "worker_region.hpp"

namespace siding_test::shared_buffer_test {
namespace {

using siding::Future;
using siding::ReadOnlySharedBuffer;
using siding::SharedBuffer;
using siding::Task;

using Pool = PoolSubject;
using Word = std::uint64_t;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t page = 4096;

// Where a process has memory of shared buffers: mappings and descriptors.
std::size_t places(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  std::size_t count = 0;
  std::ifstream maps(process + "/maps");
  for (std::string line; std::getline(maps, line);) {
    count += line.find("memfd:siding-buffer") != std::string::npos ? 1U : 0U;
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd", ignored)) {
    const std::string name = std::filesystem::read_symlink(entry.path(), ignored).string();
    count += name.find("memfd:siding-buffer") != std::string::npos ? 1U : 0U;
  }
  return count;
}
bool has_none(pid_t pid) {
  return becomes_true([pid] { return places(pid) == 0; });
}

// Memory of a process that is its own, in bytes.
std::size_t own_memory(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  std::size_t kibibytes = 0;
  while (file >> word) {
    if (word == "RssAnon:") file >> kibibytes;
  }
  return kibibytes * 1024;
}

SharedBuffer counting(std::size_t words) {
  SharedBuffer buffer(words * sizeof(Word));
  Word* const begin = buffer.as<Word>().data();
  for (std::size_t i = 0; i < words; ++i) begin[i] = i;
  return buffer;
}
Word sum_to(std::size_t words) { return Word{words} * (words - 1) / 2; }

// What workers run.

int own_pid() { return ::getpid(); }
Word sum(ReadOnlySharedBuffer buffer) {
  const std::span<const Word> words = buffer.as<Word>();
  Word result = 0;
  for (const Word *word = words.data(), *end = word + words.size(); word != end; ++word) {
    result += *word;
  }
  return result;
}
Word sum_writable(SharedBuffer buffer) { return sum(buffer); }
Word sum_behind(GateKey gate, SharedBuffer buffer) {
  pass(gate);
  return sum(buffer);
}
SharedBuffer echo(SharedBuffer buffer) { return buffer; }
ReadOnlySharedBuffer echo_read_only(ReadOnlySharedBuffer buffer) { return buffer; }
void write_at(SharedBuffer buffer, std::size_t index, Word value) {
  buffer.as<Word>()[index] = value;
}
SharedBuffer make_counting(std::size_t words) { return counting(words); }
std::size_t size_of(SharedBuffer buffer) { return buffer.size(); }
Word crash_with(SharedBuffer buffer) {
  buffer.as<Word>()[0] = 77;
  ::raise(SIGKILL);
  return 0;
}
int write_through(ReadOnlySharedBuffer buffer) {
  const_cast<std::byte*>(buffer.data())[0] = std::byte{1};
  return 0;
}
// How many pages had to be found when all are written to.
long faults(SharedBuffer buffer) {
  rusage before{};
  rusage after{};
  ::getrusage(RUSAGE_SELF, &before);
  for (std::size_t i = 0; i < buffer.size(); i += page) buffer.data()[i] = std::byte{1};
  ::getrusage(RUSAGE_SELF, &after);
  return after.ru_minflt - before.ru_minflt;
}

struct Band {
  SharedBuffer pixels;
  std::optional<ReadOnlySharedBuffer> mask;
  std::vector<SharedBuffer> layers;
};
Word sum_band(Band band) {
  Word result = sum(band.pixels) + (band.mask.has_value() ? sum(*band.mask) : 0);
  for (const SharedBuffer& layer : band.layers) result += sum(layer);
  return result;
}
Band make_band(SharedBuffer given) { return {given, given.read_only(), {counting(10), given, counting(20)}}; }

std::pair<ReadOnlySharedBuffer, SharedBuffer> make_pair_of_one() {
  SharedBuffer made = counting(10);
  return {made.read_only(), made};
}

std::vector<SharedBuffer> make_many(std::size_t count) {
  std::vector<SharedBuffer> made;
  for (std::size_t i = 0; i < count; ++i) made.push_back(SharedBuffer::of(std::array{Word{i}}));
  return made;
}
Word sum_all(std::vector<SharedBuffer> buffers) {
  Word result = 0;
  for (const SharedBuffer& buffer : buffers) result += sum(buffer);
  return result;
}

SharedBuffer kept_by_worker;
void keep_there(SharedBuffer buffer) { kept_by_worker = std::move(buffer); }
SharedBuffer give_back() { return std::exchange(kept_by_worker, SharedBuffer()); }

SharedBuffer make_when_stopped(std::stop_token token, GateKey gate) {
  arrive(gate);
  while (!token.stop_requested()) std::this_thread::yield();
  return counting(1000);
}

// Asks for a buffer that there is not.
void ask_for_nonsense() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:siding-worker") == std::string::npos) continue;
    auto* region = reinterpret_cast<siding::detail::RegionLayout*>(std::stoull(line, nullptr, 16));
    region->buffers.wanted.store(123'456);
    region->buffers.read_socket.store(1);
    for (auto& sent : region->buffers.sent) sent.store(5);
    return;
  }
}

/// Names shared memory as it likes, and is read as such.
struct Forged {
  siding::detail::BufferName name;
};
Forged forge(std::uint64_t kind, std::uint64_t number, std::uint64_t size) {
  return {{kind, number, size}};
}
Forged forge_beside(SharedBuffer, std::uint64_t kind, std::uint64_t number, std::uint64_t size) {
  return forge(kind, number, size);
}

}  // namespace
}  // namespace siding_test::shared_buffer_test

template <>
struct siding::Wire<siding_test::shared_buffer_test::Forged> {
  using Forged = siding_test::shared_buffer_test::Forged;
  static void write(WireWriter& out, const Forged& value) { out.value(value.name); }
  static Forged read(WireReader& in) {
    static_cast<void>(in.value<SharedBuffer>());
    return {};
  }
};

namespace siding_test::shared_buffer_test {
namespace {

TEST_SUITE("SharedBuffer") {
  TEST_CASE("a new one holds zeros, and one of a range a copy of it") {
    const SharedBuffer zeros(3 * sizeof(int));
    for (const int value : zeros.as<int>()) CHECK(value == 0);
    CHECK(zeros.size() == 3 * sizeof(int));
    CHECK(zeros.bytes().size() == zeros.size());

    std::vector<int> numbers{1, 2, 3};
    const SharedBuffer copy = SharedBuffer::of(numbers);
    numbers[0] = 9;
    CHECK(copy.as<int>()[0] == 1);
    CHECK(copy.as<int>()[2] == 3);
  }

  TEST_CASE("copies are handles to the same memory, and a handle that was moved from has none") {
    SharedBuffer first(8);
    const SharedBuffer second = first;
    second.data()[0] = std::byte{5};
    CHECK(first.data()[0] == std::byte{5});
    CHECK(first == second);
    CHECK(first.read_only() == ReadOnlySharedBuffer(second));
    CHECK(first.read_only().data() == first.data());
    CHECK_FALSE(first == SharedBuffer(8));

    const SharedBuffer moved = std::move(first);
    CHECK(first.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
    CHECK(first.data() == nullptr);
    CHECK(moved == second);
  }

  TEST_CASE("an empty one has no memory") {
    CHECK(SharedBuffer().data() == nullptr);
    CHECK(SharedBuffer(0) == SharedBuffer());
    CHECK(SharedBuffer(0).as<Word>().empty());
    CHECK(SharedBuffer::of(std::vector<Word>()).empty());
    CHECK(SharedBuffer().read_only().empty());
  }

  TEST_CASE("it is seen as whole elements only") {
    const SharedBuffer buffer(12);
    CHECK(buffer.as<std::uint32_t>().size() == 3);
    CHECK_THROWS_WITH_AS((void)buffer.as<Word>(), doctest::Contains("12 bytes"),
                         std::invalid_argument);
    CHECK_THROWS_AS((void)buffer.read_only().as<Word>(), std::invalid_argument);
  }

  TEST_CASE("outside of a call of a ProcessPool it cannot be written or read") {
    const SharedBuffer buffer(8);
    CHECK_THROWS_WITH_AS((void)siding::to_wire(buffer), doctest::Contains("call of a ProcessPool"),
                         siding::SerializationError);
    CHECK_THROWS_AS((void)siding::to_wire(std::vector<SharedBuffer>(2)), siding::SerializationError);
    CHECK_THROWS_WITH_AS((void)siding::from_wire<SharedBuffer>(std::vector<std::byte>(24)),
                         doctest::Contains("call of a ProcessPool"), siding::SerializationError);
  }

  TEST_CASE("one that is larger than a limit of file sizes is refused, and says which") {
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
    const rlimit lower{4096, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &lower) == 0);
    CHECK_THROWS_WITH_AS((void)SharedBuffer(8192), doctest::Contains("RLIMIT_FSIZE"),
                         std::system_error);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(SharedBuffer(8192).size() == 8192);
  }

  TEST_CASE("memory that its sender could cut off, or that is of another size, is refused") {
    using siding::detail::FileDescriptor;
    using siding::detail::SharedMemory;
    const auto memory = [](std::size_t size, int seals) {
      FileDescriptor made(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
      REQUIRE(::ftruncate(made.get(), static_cast<off_t>(size)) == 0);
      REQUIRE(::fcntl(made.get(), F_ADD_SEALS, seals) == 0);
      return made;
    };
    constexpr int sealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    CHECK(SharedMemory::open(memory(4096, sealed), 4096, true, 1)->size() == 4096);
    CHECK_THROWS_AS(SharedMemory::open(memory(4096, sealed), 8192, true, 1),
                    siding::SerializationError);
    CHECK_THROWS_AS(SharedMemory::open(memory(4096, 0), 4096, true, 1), siding::SerializationError);
    FileDescriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    CHECK_THROWS_AS(SharedMemory::open(std::move(file), 4096, false, 1), siding::SerializationError);
  }

  TEST_CASE("on a thread pool it is a handle as well") {
    siding::ThreadPool pool{{.max_workers = 2}};
    const SharedBuffer buffer = counting(1000);
    CHECK(value_of(pool.submit(sum, buffer.read_only())) == sum_to(1000));
    CHECK((value_of(pool.submit(echo, buffer)) == buffer));
    CHECK_NOTHROW(value_of(pool.submit(write_at, buffer, std::size_t{3}, Word{33})));
    CHECK(buffer.as<Word>()[3] == 33);
  }
}

TEST_SUITE("SharedBuffer and ProcessPool") {
  // SE-011
  TEST_CASE("256 MiB are summed by four calls without a copy, and are gone after their last use") {
    constexpr std::size_t size = (SIDING_SANITIZED ? 32 : 256) * mebibyte;
    constexpr std::size_t words = size / sizeof(Word);
    const Pool pool(2);
    std::vector<pid_t> pids;
    {
      Gate gate;
      std::vector<Future<int>> calls;
      for (int i = 0; i < 2; ++i) {
        calls.push_back(pool->submit([](GateKey key) { return pass(key), ::getpid(); }, gate.key()));
      }
      gate.wait_for_arrivals(2);
      gate.open();
      for (const Future<int>& call : calls) pids.push_back(value_of(call));
    }
    SharedBuffer buffer = counting(words);
    const std::size_t before = own_memory(::getpid());
    std::vector<std::size_t> workers_before;
    for (const pid_t pid : pids) workers_before.push_back(own_memory(pid));

    std::vector<Future<Word>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(pool->submit(sum, buffer.read_only()));
    for (const Future<Word>& call : calls) CHECK(value_of(call) == sum_to(words));

    // A sanitizer keeps notes about memory that was read, in memory of its own.
    if (!SIDING_SANITIZED) {
      CHECK(own_memory(::getpid()) < before + 16 * mebibyte);
      for (std::size_t i = 0; i < pids.size(); ++i) {
        CHECK(own_memory(pids[i]) < workers_before[i] + 16 * mebibyte);
      }
    }
    buffer = SharedBuffer();
    calls.clear();
    CHECK(has_none(::getpid()));
    for (const pid_t pid : pids) CHECK(has_none(pid));  // though nothing else is called there
  }

  // SE-011
  TEST_CASE("what a worker writes is there in the program, and in other workers") {
    const Pool pool(2);
    const SharedBuffer buffer = counting(100);
    CHECK_NOTHROW(value_of(pool->submit(write_at, buffer, std::size_t{5}, Word{1005})));
    CHECK(buffer.as<Word>()[5] == 1005);
    buffer.as<Word>()[6] = 2006;
    CHECK(value_of(pool->submit(sum_writable, buffer)) == sum_to(100) + 3000);
    CHECK(value_of(pool->submit(sum, buffer.read_only())) == sum_to(100) + 3000);
  }

  TEST_CASE("one that a worker has made is the program's, and outlives the worker") {
    SharedBuffer made;
    {
      const Pool pool(1);
      made = value_of(pool->submit(make_counting, std::size_t{5000}));
      CHECK(sum(made) == sum_to(5000));
      CHECK(value_of(pool->submit(sum_writable, made)) == sum_to(5000));
      ::kill(value_of(pool->submit(own_pid)), SIGKILL);
      CHECK(value_of(pool->submit(sum_writable, made)) == sum_to(5000));
      made = value_of(pool->submit(make_counting, std::size_t{6000}));
      // Descriptors are counted when the pool ends.
      made = SharedBuffer::of(std::vector<std::byte>());
    }
    CHECK(places(::getpid()) == 0);
  }

  TEST_CASE("a call that gives back what it was given gives back the same memory") {
    const Pool pool(1);
    const SharedBuffer buffer = counting(10);
    CHECK((value_of(pool->submit(echo, buffer)) == buffer));
    CHECK((value_of(pool->submit(echo_read_only, buffer.read_only())) == buffer.read_only()));
    CHECK(value_of(pool->submit(echo, SharedBuffer())).empty());
    CHECK(value_of(pool->submit(size_of, SharedBuffer(0))) == 0);
  }

  TEST_CASE("it crosses as a part of other values, both ways") {
    const Pool pool(1);
    const SharedBuffer buffer = counting(10);
    const Band band{buffer, counting(3).read_only(), {counting(4), buffer}};
    CHECK(value_of(pool->submit(sum_band, band)) == 2 * sum_to(10) + sum_to(3) + sum_to(4));

    const Band made = value_of(pool->submit(make_band, buffer));
    CHECK(made.pixels == buffer);
    CHECK(made.mask.has_value());
    CHECK(*made.mask == buffer.read_only());
    REQUIRE(made.layers.size() == 3);
    CHECK(sum(made.layers[0]) == sum_to(10));
    CHECK(made.layers[1] == buffer);
    CHECK(sum(made.layers[2]) == sum_to(20));

    const auto [read_only, writable] = value_of(pool->submit(make_pair_of_one));
    CHECK(read_only == writable.read_only());
    writable.as<Word>()[0] = 100;
    CHECK(sum(read_only) == sum_to(10) + 100);
  }

  TEST_CASE("it crosses with the calls of map, and with those that a task awaits") {
    const Pool pool(2);
    std::vector<SharedBuffer> buffers;
    for (std::size_t i = 1; i <= 20; ++i) buffers.push_back(counting(i));
    std::size_t words = 1;
    for (const Word result : pool->map(sum_writable, buffers)) CHECK(result == sum_to(words++));

    siding::run([&]() -> Task<> {
      const Word result = co_await siding::offload(*pool, sum_writable, buffers[9]);
      CHECK(result == sum_to(10));
      const SharedBuffer made = co_await siding::offload(*pool, make_counting, std::size_t{7});
      CHECK(sum(made) == sum_to(7));
    });
  }

  TEST_CASE("a worker is sent one only once, and keeps it mapped") {
    const Pool pool(1);
    const SharedBuffer buffer(16 * mebibyte);
    const auto pages = static_cast<long>(buffer.size() / page);
    CHECK(value_of(pool->submit(faults, buffer)) > pages / 32);
    for (int i = 0; i < 3; ++i) CHECK(value_of(pool->submit(faults, buffer)) < pages / 32);
  }

  TEST_CASE("a worker keeps few, and is sent again what it needs again") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    std::vector<SharedBuffer> buffers;
    for (std::size_t i = 1; i <= 40; ++i) buffers.push_back(counting(i));
    Word expected = 0;
    for (std::size_t i = 1; i <= 40; ++i) expected += sum_to(i);
    for (int round = 0; round < 3; ++round) {
      CHECK(value_of(pool->submit(sum_all, buffers)) == expected);
      for (std::size_t i = 1; i <= 40; ++i) {
        CHECK(value_of(pool->submit(sum_writable, buffers[i - 1])) == sum_to(i));
      }
    }
    CHECK(becomes_true([pid] { return places(pid) <= 2 * 16; }));
  }

  TEST_CASE("one that has no handle left goes from a worker that sleeps") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    for (int round = 0; round < 50; ++round) {
      SharedBuffer buffer = counting(100);
      CHECK(value_of(pool->submit(sum_writable, buffer)) == sum_to(100));
      CHECK(places(pid) != 0);
      buffer = SharedBuffer();
      CHECK(has_none(pid));
    }
  }

  TEST_CASE("the handle may be dropped while a call uses it") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    Gate gate;
    std::optional<SharedBuffer> buffer = counting(1000);
    Future<Word> first = pool->submit(sum_behind, gate.key(), *buffer);
    gate.wait_for_arrivals(1);
    const Future<Word> second = pool->submit(sum_writable, *buffer);  // waits behind the first
    buffer.reset();
    gate.open();
    CHECK(value_of(first) == sum_to(1000));
    CHECK(value_of(second) == sum_to(1000));
    CHECK(has_none(::getpid()));
    CHECK(has_none(pid));
  }

  TEST_CASE("two pools use one at the same time") {
    const Pool first(1);
    siding::ProcessPool second{{.max_workers = 1}};
    const SharedBuffer buffer = counting(1000);
    for (int round = 0; round < 10; ++round) {
      const Future<Word> one = first->submit(sum_writable, buffer);
      const Future<Word> other = second.submit(sum, buffer.read_only());
      CHECK(value_of(one) == sum_to(1000));
      CHECK(value_of(other) == sum_to(1000));
    }
    const SharedBuffer made = value_of(first->submit(make_counting, std::size_t{50}));
    CHECK(value_of(second.submit(sum_writable, made)) == sum_to(50));
  }

  TEST_CASE("a write through a read-only one ends the worker, and changes nothing") {
    const Pool pool(1);
    const SharedBuffer buffer = counting(10);
    CHECK_THROWS_AS(value_of(pool->submit(write_through, buffer.read_only())), siding::WorkerCrashed);
    CHECK(sum(buffer) == sum_to(10));
    CHECK(value_of(pool->submit(sum_writable, buffer)) == sum_to(10));
  }

  // PP-005
  TEST_CASE("a worker that dies with one takes nothing with it and leaves nothing") {
    const Pool pool(2);
    for (int round = 0; round < 10; ++round) {
      SharedBuffer buffer = counting(1000);
      std::vector<Future<Word>> calls;
      calls.push_back(pool->submit(crash_with, buffer));
      for (int i = 0; i < 4; ++i) calls.push_back(pool->submit(sum_writable, buffer));
      CHECK_THROWS_AS(value_of(calls[0]), siding::WorkerCrashed);
      for (std::size_t i = 1; i < calls.size(); ++i) {
        const Word result = value_of(calls[i]);
        const bool right = result == sum_to(1000) || result == sum_to(1000) + 77;
        CHECK(right);
      }
      CHECK(buffer.as<Word>()[0] == 77);
      buffer = SharedBuffer();
      CHECK(has_none(::getpid()));
    }
  }

  // PP-005
  TEST_CASE("workers may be killed at any moment: every call has its right result, or crashed") {
    const unsigned seed = random_seed();
    INFO("SIDING_TEST_SEED=", seed);
    std::minstd_rand random(seed);
    const Pool pool(2);
    int right = 0;
    int wrong = 0;
    int killed = 0;
    while (killed < 60) {
      int pid = -1;
      try {
        pid = value_of(pool->submit(own_pid));
      } catch (const siding::WorkerCrashed&) {
        continue;  // it came to the one that is about to die
      }
      ++killed;
      const SharedBuffer shared = counting(1000);
      std::vector<Future<Word>> sums;
      std::vector<Future<SharedBuffer>> made;
      for (std::size_t i = 1; i <= 6; ++i) {
        sums.push_back(pool->submit(sum_writable, i % 2 == 0 ? shared : counting(1000)));
        made.push_back(pool->submit(make_counting, std::size_t{1000}));
      }
      for (unsigned turns = random() % 64; turns != 0; --turns) std::this_thread::yield();
      ::kill(pid, SIGKILL);
      const auto look = [&](auto& call, auto is_right) {
        try {
          (is_right(value_of(call)) ? right : wrong) += 1;
        } catch (const siding::WorkerCrashed&) {
          // It ran there.
        }
      };
      for (auto& call : sums) look(call, [](Word result) { return result == sum_to(1000); });
      for (auto& call : made) look(call, [](auto result) { return sum(result) == sum_to(1000); });
    }
    CHECK(wrong == 0);
    CHECK(right > 60 * 6);
    CHECK(has_none(::getpid()));
  }

  TEST_CASE("calls that are cancelled before they begin leave nothing, here or on the way") {
    const Pool pool(1);
    const int pid = value_of(pool->submit(own_pid));
    const std::size_t before = count_descriptors();
    for (int round = 0; round < 4; ++round) {
      Gate gate;
      const auto blocker = pool->submit(pass, gate.key());
      gate.wait_for_arrivals(1);
      int cancelled = 0;
      for (int i = 0; i < 150; ++i) {
        cancelled += pool->submit(sum_writable, SharedBuffer(mebibyte)).cancel() ? 1 : 0;
      }
      CHECK(cancelled == 150);
      CHECK(places(::getpid()) == 0);  // and what was sent would count with the worker's
      gate.open();
      CHECK_NOTHROW(blocker.get(hang_limit));
    }
    CHECK(count_descriptors() == before);
    CHECK(places(pid) == 0);
    CHECK(value_of(pool->submit(sum_writable, counting(10))) == sum_to(10));
  }

  TEST_CASE("calls that are ended while they use one leave nothing") {
    const Pool pool(1);
    for (int round = 0; round < 10; ++round) {
      Gate gate;
      const Future<Word> call = pool->submit(sum_behind, gate.key(), counting(1000));
      gate.wait_for_arrivals(1);
      siding::run([&]() -> Task<> {
        bool late = false;
        try {
          co_await siding::wait_for(
              siding::offload(*pool, sum_behind, gate.key(), SharedBuffer(mebibyte)),
              std::chrono::milliseconds(1));
        } catch (const siding::TimeoutError&) {
          late = true;
        }
        CHECK(late);
      });
      gate.open();
      CHECK(value_of(call) == sum_to(1000));
    }
    siding::run([&]() -> Task<> {
      Gate gate;
      bool late = false;
      try {
        co_await siding::wait_for(siding::offload(*pool, sum_behind, gate.key(), counting(1000)),
                                  std::chrono::milliseconds(50));
      } catch (const siding::TimeoutError&) {
        late = true;
      }
      CHECK(late);
    });
    CHECK(has_none(::getpid()));
  }

  TEST_CASE("a result that nobody wants any more is let go with its memory") {
    const Pool pool({.max_workers = 1, .cancel_grace = hang_limit});
    const int pid = value_of(pool->submit(own_pid));
    for (int round = 0; round < 10; ++round) {
      Gate gate;
      siding::run([&]() -> Task<> {
        bool late = false;
        try {
          co_await siding::wait_for(siding::offload(*pool, make_when_stopped, gate.key()),
                                    std::chrono::milliseconds(20));
        } catch (const siding::TimeoutError&) {
          late = true;
        }
        CHECK(late);
      });
    }
    CHECK(value_of(pool->submit(own_pid)) == pid);
    CHECK(has_none(pid));
    CHECK(has_none(::getpid()));
  }

  TEST_CASE("a result may bring more than the worker's socket takes at once") {
    constexpr std::size_t count = 400;
    const Pool pool(1);
    const std::vector<SharedBuffer> made = value_of(pool->submit(make_many, count));
    REQUIRE(made.size() == count);
    bool right = true;
    for (std::size_t i = 0; i < count; ++i) right = right && made[i].as<Word>()[0] == i;
    CHECK(right);
  }

  TEST_CASE("a worker may keep one for itself, and give it back when the program has none") {
    const Pool pool(1);
    CHECK_NOTHROW(value_of(pool->submit(keep_there, counting(100))));
    CHECK(has_none(::getpid()));
    const SharedBuffer back = value_of(pool->submit(give_back));
    CHECK(sum(back) == sum_to(100));
  }

  // SE-010
  TEST_CASE("a name that means no memory fails its call only") {
    const Pool pool(1);
    const SharedBuffer buffer(4096);
    const int pid = value_of(pool->submit(own_pid));
    for (const std::uint64_t kind : {1UL, 2UL, 3UL, 77UL}) {
      CHECK_THROWS_AS(value_of(pool->submit(forge, kind, std::uint64_t{1}, std::uint64_t{4096})),
                      siding::SerializationError);
      CHECK_THROWS_AS(value_of(pool->submit(forge, kind, std::uint64_t{0}, ~std::uint64_t{0})),
                      siding::SerializationError);
      for (std::uint64_t number = 0; number < 100; ++number) {
        CHECK_THROWS_AS(
            value_of(pool->submit(forge_beside, buffer, kind, number, std::uint64_t{8192})),
            siding::SerializationError);
      }
    }
    CHECK(value_of(pool->submit(own_pid)) == pid);
  }

  // SE-010
  TEST_CASE("a worker that asks for nonsense gets none, and goes on") {
    const Pool pool(1);
    const SharedBuffer buffer = counting(100);
    for (int round = 0; round < 20; ++round) {
      CHECK_NOTHROW(value_of(pool->submit(ask_for_nonsense)));
      CHECK(value_of(pool->submit(size_of, SharedBuffer(100))) == 100);
      CHECK(value_of(pool->submit(sum_writable, buffer)) == sum_to(100));
    }
  }
}

}  // namespace
}  // namespace siding_test::shared_buffer_test
