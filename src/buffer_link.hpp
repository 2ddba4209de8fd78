// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

// What the program and one worker say to each other about shared buffers, beside the messages that name
// them. A part of the worker's region.
//
// Arguments: the worker asks for what a call names and it does not have, when it begins the call. So
// nothing is ever sent for a call that is taken back or moved. Its one request at a time stands in
// `wanted`; the answer comes over the control socket, with the descriptor.
//
// Results: the worker sends the descriptors of what it made itself over the control socket, before it
// marks the slot done.
//
// The end of a buffer: the worker writes which ones it keeps for later calls, and the program deletes
// there what it has no handle to any more.

namespace siding::detail {

/// What a worker keeps mapped for later calls. Chosen: few, since each is as large as it likes.
inline constexpr std::size_t kept_buffers = 16;

struct BufferLink {
  alignas(64) std::atomic<std::uint64_t> wanted;  // worker: an id; the program clears it
  std::atomic<std::uint32_t> read_socket;  // worker: there is no room in the socket; as `wanted`
  std::array<std::atomic<std::uint64_t>, kept_buffers> kept;  // 0: nothing, or deleted
  /// Of each slot, by the worker: how many descriptors it has sent with the result.
  std::array<std::atomic<std::uint32_t>, 64> sent;
};

/// From the worker, with the descriptor of a buffer that a result names.
struct BufferMessage {
  std::uint64_t call = 0;   // as in the slot
  std::uint64_t index = 0;  // of the descriptors of that call
};

}  // namespace siding::detail
