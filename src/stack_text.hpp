// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace siding::detail {

/// The stack of the thread that calls capture(), which a signal handler may do.
class StackTrace {
 public:
  /// Has the loader fetch what capture() needs, which allocates the first time.
  static void prepare() noexcept;
  void capture() noexcept;
  /// One line for each frame but the innermost `skip`: function, module and offset.
  std::string text(std::size_t skip) const;

 private:
  std::array<void*, 48> frames_{};
  std::size_t size_ = 0;
};

}  // namespace siding::detail
