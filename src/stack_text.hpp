// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace siding::detail {

/// One frame of a stack: function, module and offset. Of a frame that has called another one the
/// address is that of the return, which `returns` says: it may lie behind the end of its function.
std::string frame_text(const void* address, bool returns);

/// The stack of the thread that calls capture(), which a signal handler may do.
class StackTrace {
 public:
  /// Has the loader fetch what capture() needs, which allocates the first time.
  static void prepare() noexcept;
  void capture() noexcept;
  std::span<void* const> frames() const noexcept { return {frames_.data(), size_}; }
  /// One line for each frame but the innermost `skip`.
  std::string text(std::size_t skip) const;

 private:
  std::array<void*, 48> frames_{};
  std::size_t size_ = 0;
};

}  // namespace siding::detail
