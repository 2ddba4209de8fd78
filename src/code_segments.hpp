// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace siding::detail {

/// An executable segment of a loaded module.
struct CodeSegment {
  std::uint64_t module = 0;  // as in CodeId
  std::uintptr_t base = 0;   // what the loader adds to the addresses in the module's file
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  bool holds(std::uintptr_t address) const noexcept { return begin <= address && address < end; }
};

/// Calls `visit(segment, context)` with each executable segment until it says true. Takes the
/// loader's lock meanwhile.
void visit_code_segments(bool (*visit)(const CodeSegment&, void*), void* context);

template <class Visit>
void for_each_code_segment(Visit visit) {
  visit_code_segments(
      [](const CodeSegment& segment, void* context) {
        return (*static_cast<Visit*>(context))(segment);
      },
      &visit);
}

}  // namespace siding::detail
