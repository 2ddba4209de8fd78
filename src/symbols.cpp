// SPDX-License-Identifier: MIT
#include "symbols.hpp"

#include "file_descriptor.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>

// The file is read and not mapped: one that is cut off meanwhile would end the program by SIGBUS.

namespace siding::detail {

namespace {

using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

// Chosen: more than linkers make.
constexpr std::uint64_t most_sections = 1 << 16;
constexpr std::uint64_t most_symbols = 1 << 24;
constexpr std::size_t longest_name = 4096;

/// Reads at places that nobody has checked.
class ElfFile {
 public:
  explicit ElfFile(const std::string& name)
      : file_(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    struct stat status {};
    if (file_ && ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode)) {
      size_ = static_cast<std::uint64_t>(status.st_size);
    }
  }

  /// How many bytes of `size` could be read.
  std::size_t read(std::uint64_t offset, void* target, std::size_t size) const noexcept {
    if (offset >= size_) return 0;
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, size_ - offset));
    const ssize_t count = ::pread(file_.get(), target, size, static_cast<off_t>(offset));
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  template <class Value>
  std::optional<Value> read(std::uint64_t offset) const noexcept {
    Value value;
    if (read(offset, &value, sizeof value) != sizeof value) return std::nullopt;
    return value;
  }

 private:
  FileDescriptor file_;
  std::uint64_t size_ = 0;
};

class SectionTable {
 public:
  explicit SectionTable(const ElfFile& file) : file_(file) {
    const auto header = file.read<ElfW(Ehdr)>(0);
    constexpr unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != own_class || header->e_shentsize != sizeof(Section)) {
      return;
    }
    offset_ = header->e_shoff;
    count_ = header->e_shnum;
    if (count_ != 0) return;
    // More than fit into the header's field: the first section says how many.
    if (const auto first = file.read<Section>(offset_)) {
      count_ = std::min<std::uint64_t>(first->sh_size, most_sections);
    }
  }

  std::optional<Section> at(std::uint64_t index) const noexcept {
    if (index >= count_) return std::nullopt;
    return file_.read<Section>(offset_ + index * sizeof(Section));
  }
  std::optional<Section> first_of(std::uint32_t type) const noexcept {
    for (std::uint64_t i = 0; i < count_; ++i) {
      const auto section = at(i);
      if (!section) break;
      if (section->sh_type == type) return section;
    }
    return std::nullopt;
  }

 private:
  const ElfFile& file_;
  std::uint64_t offset_ = 0;
  std::uint64_t count_ = 0;
};

bool is_function_at(const Symbol& symbol, std::uint64_t offset) noexcept {
  const auto type = symbol.st_info & 0xf;
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF &&
         symbol.st_value <= offset && offset - symbol.st_value < symbol.st_size;
}

std::optional<Symbol> find_symbol(const ElfFile& file, const Section& table, std::uint64_t offset) {
  if (table.sh_entsize != sizeof(Symbol)) return std::nullopt;
  std::array<Symbol, 512> part;
  std::uint64_t left = std::min<std::uint64_t>(table.sh_size / sizeof(Symbol), most_symbols);
  for (std::uint64_t place = table.sh_offset; left > 0; place += sizeof part) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, part.size()));
    const std::size_t count = file.read(place, part.data(), wanted * sizeof(Symbol)) / sizeof(Symbol);
    const auto end = part.begin() + static_cast<std::ptrdiff_t>(count);
    const auto found = std::find_if(part.begin(), end, [offset](const Symbol& symbol) {
      return is_function_at(symbol, offset);
    });
    if (found != end) return *found;
    if (count < wanted) break;
    left -= wanted;
  }
  return std::nullopt;
}

std::string name_of(const ElfFile& file, const Section& strings, const Symbol& symbol) {
  if (symbol.st_name >= strings.sh_size) return {};
  std::array<char, longest_name> name;
  const std::size_t room =
      static_cast<std::size_t>(std::min<std::uint64_t>(strings.sh_size - symbol.st_name, name.size()));
  const std::size_t size = file.read(strings.sh_offset + symbol.st_name, name.data(), room);
  return {name.data(), ::strnlen(name.data(), size)};
}

}  // namespace

std::string symbol_at(const std::string& file_name, std::uint64_t offset) {
  const ElfFile file(file_name);
  const SectionTable sections(file);
  // What a file exports is in both tables, and in the second one also if it was stripped.
  for (const std::uint32_t type : {std::uint32_t{SHT_SYMTAB}, std::uint32_t{SHT_DYNSYM}}) {
    const auto table = sections.first_of(type);
    if (!table) continue;
    const auto symbol = find_symbol(file, *table, offset);
    if (!symbol) continue;
    if (const auto strings = sections.at(table->sh_link)) return name_of(file, *strings, *symbol);
  }
  return {};
}

}  // namespace siding::detail
