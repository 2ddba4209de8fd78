// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/code_identity.hpp>

#include "buffer_link.hpp"
#include "crash_page.hpp"
#include "file_descriptor.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

// The memory that the program shares with one worker process: a sealed memfd that no other worker
// maps. Modelled in tests/model/slots.pml.
//
//   header      where the worker sleeps, what it is told, how far it has come
//   submitted   slot numbers, program to worker, in order
//   slots       one call each: its state, what to call, small arguments or a small result
//   channels    slot numbers of finished calls, worker to program: one channel for each loop that
//               awaits calls of the pool, and channel 0 for everybody else
//
// Behind it lie two arenas: large arguments (managed by the program) and large results (by the
// worker). They are larger than anybody needs, because memory is there only where it was written: a
// call of any size is written in place, and nothing has to be sent beside the region, which a call
// that is taken back, or a worker that dies, could leave behind.
//
// Everything here may be scribbled on by a worker that has gone mad. The program reads each word
// once, checks it, and keeps what it relies on in memory of its own.

namespace siding::detail {

inline constexpr std::uint32_t slot_count = 64;
inline constexpr std::uint32_t channel_count = 16;
/// More than slots, because the entry of a recalled call stays behind until the worker skips it.
inline constexpr std::uint32_t submission_count = 256;
inline constexpr std::size_t inline_size = 144;  // a slot fills four cache lines
/// Of each arena, unless the program's own limits are lower. Chosen: addresses are plenty.
inline constexpr std::size_t largest_arena = std::size_t{8} << 30;
inline constexpr std::size_t smallest_arena = std::size_t{64} << 10;
/// What an arena keeps when it is free again; memory beyond goes back to the system. Chosen: a few
/// calls of a megabyte.
inline constexpr std::size_t kept_arena = std::size_t{4} << 20;

/// What becomes of a slot is decided by its state: by compare-and-swap where two sides may want it.
///   empty -> queued     the program
///   queued -> running   the worker: the function is called
///   queued -> empty     the program: recalled, the function is never called here
///   running -> done     the worker: the result counts
///   running -> killing  the program: the worker is about to be killed; the result will not count
///   done -> empty       the program, when it has read the result
enum class SlotState : std::uint32_t { empty, queued, running, done, killing };

/// Where the bytes of arguments or of a result lie.
struct Payload {
  static constexpr std::uint32_t in_slot = 0;
  static constexpr std::uint32_t in_arena = 1;
  std::uint32_t where = in_slot;
  std::uint32_t reserved = 0;
  std::uint64_t offset = 0;  // in the arena
  std::uint64_t size = 0;
};

enum class ReplyKind : std::uint32_t { value, error };

struct alignas(64) Slot {
  std::atomic<SlotState> state;
  std::uint32_t channel;  // where the finished call is announced
  std::uint64_t call;     // numbers the calls of a pool
  CodeId thunk;
  Payload request;
  Payload reply;
  std::uint32_t takes_token;  // the function wants a std::stop_token
  ReplyKind kind;
  std::atomic<std::uint32_t> stop;  // set by the program: the function is asked to stop
  std::uint32_t carried;            // bytes of context variables, the last of the request
  /// Set by the worker before `running`: when it began, in nanoseconds of the steady clock, which all
  /// processes share.
  std::atomic<std::int64_t> began;
  alignas(16) std::byte bytes[inline_size];
};

struct alignas(64) Channel {
  std::atomic<std::uint32_t> tail;  // worker: how many entries were ever written
  /// Set by the program before it sleeps; the worker that clears it writes the eventfd. One write
  /// per sleep.
  std::atomic<std::uint32_t> armed;
  alignas(64) std::array<std::atomic<std::uint32_t>, slot_count> entries;
};

struct RegionHeader {
  // Written by the program.
  alignas(64) std::atomic<std::uint32_t> submitted_tail;
  std::atomic<std::uint32_t> retire;   // end when there is nothing to do
  std::atomic<std::uint32_t> backlog;  // tell channel 0 before going to sleep: there may be work
  std::uint64_t spin_nanoseconds;
  std::uint64_t output_magic;  // of the marks in what it prints
  char name[16];
  // Written by the worker.
  alignas(64) std::atomic<std::uint32_t> submitted_head;
  std::atomic<std::uint32_t> mean_nanoseconds;  // of a call, lately
  std::atomic<std::uint32_t> finished;          // how many results were announced, on any channel
  std::atomic<std::uint32_t> large;             // it uses more memory than it should
  std::atomic<std::int32_t> pid;                // for what it prints before the zygote has named it
  char start_error[256];  // why it could not be set up, before it ended with cannot_start
  // A futex: 1 while the worker sleeps or is about to. Whoever clears it wakes the worker.
  alignas(64) std::atomic<std::uint32_t> asleep;
  // A futex: counts the stop requests, for a worker whose function takes a std::stop_token.
  alignas(64) std::atomic<std::uint32_t> stop_requests;
  alignas(64) std::array<std::atomic<std::uint32_t>, submission_count> submitted;
};

/// The exit status of a worker that can no longer reach the program.
inline constexpr int lost_descriptors = 120;
/// The exit status of a worker that could not be set up; the header says why.
inline constexpr int cannot_start = 121;

static_assert(sizeof(Slot) == 256);

struct RegionLayout {
  RegionHeader header;
  alignas(64) CrashPage crash;
  std::array<Slot, slot_count> slots;
  std::array<Channel, channel_count> channels;
  BufferLink buffers;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<SlotState>::is_always_lock_free);

/// A mapping of a memfd.
class Mapping {
 public:
  Mapping() noexcept = default;
  /// Throws std::system_error.
  Mapping(int descriptor, std::size_t size);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A new memfd of a fixed size: sealed, so that nobody can cut it off under the other side's feet.
/// Throws std::system_error.
FileDescriptor make_sealed_memory(const char* name, std::size_t size);

/// The region, mapped.
class Region {
 public:
  Region() noexcept = default;
  /// Of a memfd that create() made. Throws std::system_error.
  explicit Region(int descriptor);
  /// A new one, with arenas as large as the limits of this process allow, and its memfd. Throws
  /// std::system_error.
  static Region create(FileDescriptor& memory);

  RegionLayout* operator->() const noexcept {
    return reinterpret_cast<RegionLayout*>(mapping_.data());
  }
  std::size_t arena_size() const noexcept { return arena_size_; }
  /// Of addresses, altogether.
  std::size_t address_size() const noexcept { return mapping_.size(); }
  std::byte* requests() const noexcept { return mapping_.data() + arenas_begin; }
  std::byte* replies() const noexcept { return requests() + arena_size_; }

  /// Whether a piece of an arena reaches beyond what is kept.
  static bool is_large(std::size_t offset, std::size_t size) noexcept {
    return offset + size > kept_arena;
  }
  /// Gives the memory of such a piece back to the system. Nobody may use the piece meanwhile.
  static void release(std::byte* arena, std::size_t offset, std::size_t size) noexcept;

 private:
  static constexpr std::size_t page = 65536;  // the largest that Linux commonly has
  static constexpr std::size_t arenas_begin =
      (sizeof(RegionLayout) + page - 1) / page * page;

  Region(int descriptor, std::size_t arena_size)
      : mapping_(descriptor, arenas_begin + 2 * arena_size), arena_size_(arena_size) {}

  Mapping mapping_;
  std::size_t arena_size_ = 0;
};

// g++ warns that its thread sanitizer does not model fences. These order what two processes do, of
// which it sees one.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
/// Between a store that the other process reads and a load of what it stores: one of the two sees the
/// other.
inline void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/// Futexes in memory that processes share.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept;
void futex_wake(std::atomic<std::uint32_t>& word) noexcept;

}  // namespace siding::detail
