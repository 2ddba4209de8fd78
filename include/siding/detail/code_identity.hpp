// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <cstdint>
#include <typeinfo>

namespace siding::detail {

/// Where a piece of code is, in terms that hold in every process of one build: a process that was
/// executed anew has the same modules at other addresses.
struct CodeId {
  std::uint64_t module = 0;  ///< hash of the module's GNU build-id, or of its path if it has none
  std::uint64_t offset = 0;  ///< address minus load base

  friend bool operator==(const CodeId&, const CodeId&) = default;
};

/// The identity of the function at `address`, which is of type `function`.
///
/// Throws: NotPortable if no executable segment of a loaded module holds it, as with code that was
///   generated at run time; or if its module was loaded after the program's start, so that no
///   worker has it.
/// Thread safety: any thread; does not block on other callers.
/// Complexity: less than 0.1 us while no module is loaded or unloaded, and then without an allocation.
SIDING_EXPORT CodeId code_id_of(const void* address, const std::type_info& function = typeid(void));

/// The modules that are loaded now are in worker processes too, later ones are not. Called by the
/// process hook, before main().
SIDING_EXPORT void note_modules() noexcept;

/// The address of a function in this process.
///
/// Throws: SerializationError if the module is not loaded here, or the offset lies outside of its
///   executable segments. Nothing says that a function begins there: only the sender knows.
/// Thread safety, Complexity: as `code_id_of`.
SIDING_EXPORT const void* code_at(CodeId id);

}  // namespace siding::detail
