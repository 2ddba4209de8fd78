// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace siding::detail {

/// The symbol of the function at `offset` in an ELF file (an address as the file counts them): also of
/// static functions, and of those of a program that exports none. Empty if the file cannot be read,
/// is none, or was stripped of its names.
///
/// Whatever the file holds is taken for what it may be: damaged, cut, or not ELF. A file that blocks its
/// reader is not opened.
/// Complexity: reads the symbol table of the file, some milliseconds for a hundred thousand symbols.
std::string symbol_at(const std::string& file, std::uint64_t offset);

}  // namespace siding::detail
