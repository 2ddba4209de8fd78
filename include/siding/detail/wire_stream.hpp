// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

namespace siding {

class WireReader;
class WireWriter;

namespace detail {

/// Takes the shared memory that a message names, or gives it: what crosses beside the bytes.
class BufferExchange;

/// How deep values may contain one another.
inline constexpr int wire_depth_limit = 256;

/// How many elements a container may have beyond the bytes that are there for them: those of no
/// size at all. Chosen: enough for a vector of empty structures, small enough to be harmless.
inline constexpr std::size_t wire_empty_limit = 65536;

[[noreturn]] SIDING_EXPORT void throw_wire_overrun(std::size_t measured);
[[noreturn]] SIDING_EXPORT void throw_wire_cut_short(std::size_t wanted, std::size_t left);
[[noreturn]] SIDING_EXPORT void throw_wire_length(std::uint64_t length, std::size_t left);
[[noreturn]] SIDING_EXPORT void throw_wire_left_over(std::size_t left);
[[noreturn]] SIDING_EXPORT void throw_wire_error(const char* text);

/// One level of depth of a reader or writer, for as long as it lives.
template <class Stream>
class WireLevel {
 public:
  explicit WireLevel(Stream& stream) : stream_(stream) {
    if (stream.depth_ == wire_depth_limit)
      throw_wire_error("a value is nested more than 256 levels deep");
    ++stream.depth_;
  }
  WireLevel(const WireLevel&) = delete;
  WireLevel& operator=(const WireLevel&) = delete;
  ~WireLevel() { --stream_.depth_; }

 private:
  Stream& stream_;
};

}  // namespace detail

/// Takes the bytes of values that go to another process.
///
/// A message is made in two passes over the same values: a writer without a target counts, then one
/// with exactly so much room writes in place. So there is no buffer that grows.
///
/// Thread safety: distinct objects: safe. Shared objects: unsafe.
class WireWriter {
 public:
  /// Only counts.
  WireWriter() noexcept = default;
  /// Writes to `target`, which must outlive it. Aligned as `std::max_align_t`, it saves the reader
  /// a pass over large vectors.
  explicit WireWriter(std::span<std::byte> target) noexcept
      : target_(target.data()), room_(target.size()) {}
  /// The same for the messages of calls, which may name shared memory.
  explicit WireWriter(detail::BufferExchange* buffers) noexcept : buffers_(buffers) {}
  WireWriter(std::span<std::byte> target, detail::BufferExchange* buffers) noexcept
      : target_(target.data()), room_(target.size()), buffers_(buffers) {}
  WireWriter(const WireWriter&) = delete;
  WireWriter& operator=(const WireWriter&) = delete;

  /// Throws: SerializationError if there is less room; it was made by measuring, so a hook has
  ///   written more than it had measured.
  void bytes(const void* data, std::size_t count) {
    if (count > room_ - size_) [[unlikely]]
      detail::throw_wire_overrun(room_);
    if (target_ != nullptr && count != 0) std::memcpy(target_ + size_, data, count);
    size_ += count;
  }

  /// Throws: SerializationError as `bytes`, or if the value cannot be written, such as a variant
  ///   without a value; NotPortable for a pointer to a function in no module; and whatever a hook
  ///   throws.
  template <class T>
  void value(const T& value);

  /// The number of elements of a container, to be read with `WireReader::length`.
  void length(std::size_t count) {
    const std::uint64_t wide = count;
    bytes(&wide, sizeof wide);
  }

  /// Zeros up to the next multiple of `alignment`, a power of two of at most 64, counted from the
  /// begin of the target.
  void align(std::size_t alignment) {
    static constexpr std::byte zeros[64]{};
    bytes(zeros, (0 - size_) & (alignment - 1));
  }

  /// Bytes so far.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// For SharedBuffer: null if the bytes are no message of a call.
  [[nodiscard]] detail::BufferExchange* buffers() const noexcept { return buffers_; }
  /// Whether it only counts.
  [[nodiscard]] bool counts_only() const noexcept {
    return room_ == std::numeric_limits<std::size_t>::max();
  }

 private:
  template <class Stream>
  friend class detail::WireLevel;

  std::byte* target_ = nullptr;
  std::size_t room_ = std::numeric_limits<std::size_t>::max();
  std::size_t size_ = 0;
  detail::BufferExchange* buffers_ = nullptr;
  int depth_ = 0;
};

/// Gives the values of a message back. It trusts nothing: damaged bytes end in a
/// SerializationError, and never in an allocation out of proportion to the message.
///
/// Thread safety: distinct objects: safe. Shared objects: unsafe.
class WireReader {
 public:
  /// `source` must outlive it, begin where the target of the writer began, and not change
  /// meanwhile.
  explicit WireReader(std::span<const std::byte> source,
                      detail::BufferExchange* buffers = nullptr) noexcept
      : begin_(source.data()),
        next_(source.data()),
        end_(source.data() + source.size()),
        buffers_(buffers) {}
  WireReader(const WireReader&) = delete;
  WireReader& operator=(const WireReader&) = delete;

  /// The next `count` bytes, in place.
  /// Throws: SerializationError if there are less.
  const std::byte* take(std::size_t count) {
    if (count > left()) [[unlikely]]
      detail::throw_wire_cut_short(count, left());
    const std::byte* taken = next_;
    next_ += count;
    return taken;
  }

  /// Throws: SerializationError if the bytes are not such a value; and whatever a hook throws.
  template <class T>
  [[nodiscard]] T value();

  /// The number of elements of a container, each of which takes `minimum` bytes or more. 0 means
  /// that an element may take none.
  /// Throws: SerializationError if there are less bytes than so many elements need.
  [[nodiscard]] std::size_t length(std::size_t minimum) {
    std::uint64_t wide = 0;
    std::memcpy(&wide, take(sizeof wide), sizeof wide);
    const std::size_t most = minimum != 0 ? left() / minimum : left() + detail::wire_empty_limit;
    if (wide > most) [[unlikely]]
      detail::throw_wire_length(wide, left());
    return static_cast<std::size_t>(wide);
  }

  /// Skips what `WireWriter::align` wrote.
  void align(std::size_t alignment) {
    take((0 - static_cast<std::size_t>(next_ - begin_)) & (alignment - 1));
  }

  /// Bytes not read yet.
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - next_); }

  /// Throws: SerializationError if bytes are left.
  void expect_end() const {
    if (left() != 0) detail::throw_wire_left_over(left());
  }

  /// For SharedBuffer: null if the bytes are no message of a call.
  [[nodiscard]] detail::BufferExchange* buffers() const noexcept { return buffers_; }

 private:
  template <class Stream>
  friend class detail::WireLevel;

  const std::byte* begin_;
  const std::byte* next_;
  const std::byte* end_;
  detail::BufferExchange* buffers_;
  int depth_ = 0;
};

}  // namespace siding
