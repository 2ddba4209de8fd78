// SPDX-License-Identifier: MIT
#include <siding/shared_buffer.hpp>

#include "shared_memory.hpp"

#include <siding/error.hpp>

#include <fmt/format.h>

#include <limits>
#include <stdexcept>

namespace siding::detail {

namespace {

[[noreturn]] void throw_not_in_a_call() {
  throw SerializationError(
      "a shared buffer crosses only with a call of a ProcessPool: as an argument, a result, or a part "
      "of one");
}

}  // namespace

SharedBytes make_shared_bytes(std::size_t size) {
  if (size == 0) return {};
  std::shared_ptr<SharedMemory> memory = SharedMemory::make(size);
  std::byte* const data = memory->data();
  return {std::move(memory), data, size};
}

void write_shared_bytes(WireWriter& writer, const SharedBytes& bytes) {
  BufferExchange* const exchange = writer.buffers();
  if (exchange == nullptr) throw_not_in_a_call();
  BufferName name;
  if (bytes.memory() != nullptr) name = exchange->name(bytes.memory(), writer.counts_only());
  writer.value(name);
}

SharedBytes read_shared_bytes(WireReader& reader, bool writable) {
  BufferExchange* const exchange = reader.buffers();
  if (exchange == nullptr) throw_not_in_a_call();
  const auto name = reader.value<BufferName>();
  if (name.kind == BufferName::empty) return {};
  if (name.kind > BufferName::sent || name.size == 0 ||
      name.size > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
    throw_wire_error("a message is damaged: it names a shared buffer that cannot be");
  }
  std::shared_ptr<SharedMemory> memory = exchange->find(name, writable);
  std::byte* const data = memory->data();
  const std::size_t size = memory->size();
  return {std::move(memory), data, size};
}

void throw_no_whole_elements(std::size_t size, std::size_t element) {
  throw std::invalid_argument(fmt::format(
      "a shared buffer of {} bytes is no row of elements of {} bytes each", size, element));
}

}  // namespace siding::detail
