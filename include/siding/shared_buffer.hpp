// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>
#include <siding/wire.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

namespace siding {

class ReadOnlySharedBuffer;

namespace detail {

class SharedMemory;

/// What both kinds of handles are.
class SharedBytes {
 public:
  SharedBytes() noexcept = default;
  SharedBytes(std::shared_ptr<SharedMemory> memory, std::byte* data, std::size_t size) noexcept
      : memory_(std::move(memory)), data_(data), size_(size) {}
  SharedBytes(const SharedBytes&) noexcept = default;
  SharedBytes& operator=(const SharedBytes&) noexcept = default;
  SharedBytes(SharedBytes&& other) noexcept
      : memory_(std::move(other.memory_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  SharedBytes& operator=(SharedBytes&& other) noexcept {
    memory_ = std::move(other.memory_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~SharedBytes() = default;

  const std::shared_ptr<SharedMemory>& memory() const noexcept { return memory_; }
  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::shared_ptr<SharedMemory> memory_;  // null: of size 0
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Throws std::system_error.
SIDING_EXPORT SharedBytes make_shared_bytes(std::size_t size);
SIDING_EXPORT void write_shared_bytes(WireWriter& writer, const SharedBytes& bytes);
SIDING_EXPORT SharedBytes read_shared_bytes(WireReader& reader, bool writable);
[[noreturn]] SIDING_EXPORT void throw_no_whole_elements(std::size_t size, std::size_t element);

/// What can be looked at as such in every process that has the memory.
template <class T>
concept SharedElement = std::is_trivially_copyable_v<T> && std::is_object_v<T> &&
                        !std::is_pointer_v<T> && !std::is_member_pointer_v<T>;

/// Memory begins at a page, so every `T` is aligned.
inline constexpr std::size_t shared_alignment = 4096;

template <SharedElement T>
std::size_t count_shared(std::size_t size) {
  static_assert(alignof(T) <= shared_alignment);
  if (size % sizeof(T) != 0) throw_no_whole_elements(size, sizeof(T));
  return size / sizeof(T);
}

}  // namespace detail

/// A region of memory that calls in worker processes use without a copy: the program and the workers see
/// the same bytes. For what is too large to be copied for each call, such as a picture, a table or a block
/// of numbers.
///
/// It is a handle, cheap to copy: all copies name one region, which lives as long as any of them, in any
/// process. As an argument or a result of a call, or as a part of one (a field of an aggregate, an element
/// of a vector), a handle crosses, and the bytes stay where they are. On a ThreadPool it is a handle as
/// well, so the same function runs on both.
///
/// Whoever holds a SharedBuffer may write to it, in a worker too. `read_only()` gives a handle of another
/// type, through which nobody can: in a worker its memory is mapped so that a stray write there ends the
/// worker, and changes nothing.
///
/// Nothing makes concurrent uses wait for one another. What was written before a call was submitted is seen
/// by the call, and what the call wrote by whoever has its outcome; calls that run at the same time must
/// keep to different parts, or only read. A call that fails or is cancelled may have written a part.
///
/// Lifetime: the memory goes back to the system with the last handle. A worker keeps regions that it was
/// sent for later calls, at most 16, and lets go of one when the program has no handle left, at the latest
/// when the call ends that it runs then. A worker that dies leaves nothing.
/// Cost: making one of n bytes has the system clear n bytes, when they are first touched. A region takes a
/// descriptor in each process that has it. The first call that names it in a worker waits until the pool
/// has sent it there, about 0.1 ms; later ones take nothing.
/// Thread safety: distinct objects: safe. Shared objects: unsafe. The bytes: as above.
/// Limits: a handle crosses with a call of a ProcessPool only. Elsewhere, as with `to_wire`, in a context
/// variable or in an exception, writing it throws SerializationError.
/// See: `examples/shared_image.cpp`.
class SharedBuffer {
 public:
  /// Of size 0.
  SharedBuffer() noexcept = default;

  /// `size` bytes of zero. 0: no memory.
  /// Throws: std::system_error if there is no descriptor or no address space for it, or if a limit of file
  ///   sizes (RLIMIT_FSIZE) forbids it. Memory itself is taken when it is first written.
  explicit SharedBuffer(std::size_t size) : bytes_(detail::make_shared_bytes(size)) {}

  /// A copy of the elements of a contiguous range, which have to be trivially copyable.
  /// Throws: as the constructor.
  template <std::ranges::contiguous_range Range>
    requires std::ranges::sized_range<Range> &&
             detail::SharedElement<std::ranges::range_value_t<Range>>
  [[nodiscard]] static SharedBuffer of(const Range& range) {
    SharedBuffer made(std::ranges::size(range) * sizeof(std::ranges::range_value_t<Range>));
    if (made.size() != 0) std::memcpy(made.data(), std::ranges::data(range), made.size());
    return made;
  }

  /// Begins at a page; null if the size is 0.
  [[nodiscard]] std::byte* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data(), size()}; }

  /// The bytes as elements of type `T`.
  /// Throws: std::invalid_argument if the size is no multiple of that of a `T`.
  template <detail::SharedElement T>
  [[nodiscard]] std::span<T> as() const {
    return {reinterpret_cast<T*>(data()), detail::count_shared<T>(size())};
  }

  /// A handle to the same memory that cannot write.
  [[nodiscard]] ReadOnlySharedBuffer read_only() const noexcept;

  /// Whether both are copies of one handle, or neither has memory.
  friend bool operator==(const SharedBuffer& a, const SharedBuffer& b) noexcept {
    return a.bytes_.memory() == b.bytes_.memory();
  }

 private:
  friend struct Wire<SharedBuffer>;
  explicit SharedBuffer(detail::SharedBytes bytes) noexcept : bytes_(std::move(bytes)) {}

  detail::SharedBytes bytes_;
};

/// A SharedBuffer that cannot be written through this handle; `SharedBuffer::read_only()` gives it. Others
/// may hold handles that can. Else as SharedBuffer.
///
/// Thread safety: distinct objects: safe. Shared objects: unsafe.
class ReadOnlySharedBuffer {
 public:
  /// Of size 0.
  ReadOnlySharedBuffer() noexcept = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as a span of T becomes one of const T.
  ReadOnlySharedBuffer(const SharedBuffer& buffer) noexcept
      : ReadOnlySharedBuffer(buffer.read_only()) {}

  /// As those of SharedBuffer.
  [[nodiscard]] const std::byte* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data(), size()}; }
  template <detail::SharedElement T>
  [[nodiscard]] std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data()), detail::count_shared<T>(size())};
  }

  friend bool operator==(const ReadOnlySharedBuffer& a, const ReadOnlySharedBuffer& b) noexcept {
    return a.bytes_.memory() == b.bytes_.memory();
  }

 private:
  friend class SharedBuffer;
  friend struct Wire<ReadOnlySharedBuffer>;
  explicit ReadOnlySharedBuffer(detail::SharedBytes bytes) noexcept : bytes_(std::move(bytes)) {}

  detail::SharedBytes bytes_;
};

inline ReadOnlySharedBuffer SharedBuffer::read_only() const noexcept {
  return ReadOnlySharedBuffer(bytes_);
}

template <>
struct Wire<SharedBuffer> {
  static void write(WireWriter& writer, const SharedBuffer& value) {
    detail::write_shared_bytes(writer, value.bytes_);
  }
  static SharedBuffer read(WireReader& reader) {
    return SharedBuffer(detail::read_shared_bytes(reader, true));
  }
};
template <>
struct Wire<ReadOnlySharedBuffer> {
  static void write(WireWriter& writer, const ReadOnlySharedBuffer& value) {
    detail::write_shared_bytes(writer, value.bytes_);
  }
  static ReadOnlySharedBuffer read(WireReader& reader) {
    return ReadOnlySharedBuffer(detail::read_shared_bytes(reader, false));
  }
};

}  // namespace siding
