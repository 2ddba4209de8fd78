// SPDX-License-Identifier: MIT
#include "code_segments.hpp"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace siding::detail {

namespace {

using Header = ElfW(Phdr);

struct Visitor {
  bool (*visit)(const CodeSegment&, void*);
  void* context;
};

// FNV-1a. The two kinds of source start differently, so that they cannot meet.
std::uint64_t hash(std::uint64_t start, std::span<const unsigned char> bytes) {
  std::uint64_t value = 0xcbf29ce484222325 ^ start;
  for (const unsigned char byte : bytes)
    value = (value ^ byte) * 0x100000001b3;
  return value;
}

std::size_t rounded_up(std::size_t size, std::size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

// The build-id among the notes of one segment, or nothing.
std::span<const unsigned char> build_id_in(std::span<const unsigned char> notes,
                                           std::size_t alignment) {
  constexpr std::string_view owner("GNU", 4);  // with its null byte
  // Notes are aligned to 4, those with properties of the processor to 8.
  if (alignment != 8) alignment = 4;
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof note);
    const std::size_t name = sizeof note;
    const std::size_t content = rounded_up(name + note.n_namesz, alignment);
    const std::size_t next = rounded_up(content + note.n_descsz, alignment);
    if (content + note.n_descsz > notes.size()) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == owner.size() &&
        std::memcmp(notes.data() + name, owner.data(), owner.size()) == 0) {
      return notes.subspan(content, note.n_descsz);
    }
    if (next > notes.size()) break;
    notes = notes.subspan(next);
  }
  return {};
}

std::uint64_t identity_of(const dl_phdr_info& module) {
  for (const Header& header : std::span(module.dlpi_phdr, module.dlpi_phnum)) {
    if (header.p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const unsigned char*>(module.dlpi_addr + header.p_vaddr);
    const auto id = build_id_in({notes, header.p_memsz}, header.p_align);
    if (!id.empty()) return hash(1, id);
  }
  std::string_view path = module.dlpi_name != nullptr ? module.dlpi_name : "";
  std::array<char, 4096> own{};
  if (path.empty()) {  // the program itself has no name here
    const ssize_t length = ::readlink("/proc/self/exe", own.data(), own.size());
    if (length > 0) path = {own.data(), static_cast<std::size_t>(length)};
  }
  return hash(2, {reinterpret_cast<const unsigned char*>(path.data()), path.size()});
}

int visit_module(dl_phdr_info* module, std::size_t, void* pointer) {
  const auto& visitor = *static_cast<const Visitor*>(pointer);
  CodeSegment segment{.base = module->dlpi_addr};
  bool identified = false;
  for (const Header& header : std::span(module->dlpi_phdr, module->dlpi_phnum)) {
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    if (!identified) segment.module = identity_of(*module);
    identified = true;
    segment.begin = segment.base + header.p_vaddr;
    segment.end = segment.begin + header.p_memsz;
    if (visitor.visit(segment, visitor.context)) return 1;
  }
  return 0;
}

}  // namespace

void visit_code_segments(bool (*visit)(const CodeSegment&, void*), void* context) {
  Visitor visitor{visit, context};
  ::dl_iterate_phdr(&visit_module, &visitor);
}

}  // namespace siding::detail
