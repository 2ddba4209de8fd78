// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"
#include "pool_output.hpp"

#include <array>
#include <cstdint>
#include <vector>

// What a worker process has open, beside what its functions open.

namespace siding::detail {

/// The same at a high number, where functions that close the first few hundred do not hit it, and
/// where no file that they open later gets the number of one that they closed.
FileDescriptor out_of_the_way(FileDescriptor descriptor) noexcept;

/// Gives each its number in `numbers`, of which there are as many. Throws std::system_error.
void place_descriptors(const std::vector<FileDescriptor>& descriptors, const std::vector<int>& numbers);

/// What the calls printed is not kept back by a pause. Only if nobody has the lock: a thread that a
/// function has left behind may hold it for good.
void flush_output() noexcept;

/// At the end; bounded, for the same reason.
void flush_everything() noexcept;

/// Puts a mark between the calls into what the worker prints.
class OutputMarks {
 public:
  /// `pipes`: those that are standard output and error from now on.
  OutputMarks(std::array<FileDescriptor, 2> pipes, std::uint64_t magic);
  /// `call`: that begins; 0: the last one has ended.
  void put(std::uint64_t call) noexcept;

 private:
  std::array<FileDescriptor, 2> pipes_;  // of its own: a function may have put a file in their place
  const std::uint64_t magic_;
};

}  // namespace siding::detail
