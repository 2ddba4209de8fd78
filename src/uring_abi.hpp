// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

// Constants of the kernel's io_uring interface that the headers of liburing 2.3, the oldest one
// supported, do not have. They carry names of their own, because later headers define the kernel's.
// A constant here says nothing about the running kernel: whoever uses one probes for it first.

namespace siding::detail::uring_abi {

/// IORING_FEAT_NO_IOWAIT: io_uring_enter knows `enter_no_iowait` (Linux 6.15).
inline constexpr std::uint32_t feature_no_iowait = 1u << 17;
/// IORING_ENTER_NO_IOWAIT: a sleeping loop does not count as waiting for a disk, which the system
/// would show as 100 % iowait (Linux 6.15).
inline constexpr std::uint32_t enter_no_iowait = 1u << 7;

/// IORING_OP_WAITID: waitid() as an operation (Linux 6.7).
inline constexpr std::uint8_t operation_waitid = 50;

}  // namespace siding::detail::uring_abi
